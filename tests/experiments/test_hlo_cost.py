"""What a compiled program costs, read from a text of which every number is known by hand."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "experiments"))

import hlo_cost
from chips import CHIPS, Gpu

# Two loop fusions, of which one reads a slice alone, a convolution, and a loop of three rounds.
PROGRAM = """HloModule jit_step

%fused_slice (param_0: f32[1000]) -> f32[10] {
  %param_0 = f32[1000]{0} parameter(0)
  ROOT %slice.1 = f32[10]{0} slice(%param_0), slice={[0:10]}
}

%fused_add (param_0.1: f32[1000], param_1.1: f32[1000]) -> f32[1000] {
  %param_0.1 = f32[1000]{0} parameter(0)
  %param_1.1 = f32[1000]{0} parameter(1)
  ROOT %add.1 = f32[1000]{0} add(%param_0.1, %param_1.1)
}

%body (arg: (s32[], f32[1000])) -> (s32[], f32[1000]) {
  %arg = (s32[], f32[1000]{0}) parameter(0)
  %x.2 = f32[1000]{0} get-tuple-element(%arg), index=1
  %i.2 = s32[] get-tuple-element(%arg), index=0
  %twice = f32[1000]{0} fusion(%x.2, %x.2), kind=kLoop, calls=%fused_add
  ROOT %out.2 = (s32[], f32[1000]{0}) tuple(%i.2, %twice)
}

ENTRY %main (p: f32[1000], image: f32[2,8,8,16], kernel: f32[32,3,3,16]) -> f32[10] {
  %p = f32[1000]{0} parameter(0)
  %image = f32[2,8,8,16]{3,2,1,0} parameter(1)
  %kernel = f32[32,3,3,16]{3,2,1,0} parameter(2)
  %head = f32[10]{0} fusion(%p), kind=kLoop, calls=%fused_slice, metadata={op_name="jit(f)/slice"}
  %conv.1 = (f32[2,8,8,32]{3,2,1,0}, u8[0]{0}) custom-call(%image, %kernel), window={size=3x3}, custom_call_target="__cudnn$convForward", metadata={op_name="jit(f)/transpose(jvp(N))/encoder/stage2/conv"}
  %loop = (s32[], f32[1000]{0}) while(%start), body=%body, backend_config={"known_trip_count":{"n":"3"}}
  ROOT %copy.1 = f32[10]{0} copy(%head)
}
"""  # noqa: E501


@pytest.fixture(scope="module")
def found():
    return hlo_cost.kernels(PROGRAM)


def test_every_kernel_counts_as_often_as_it_runs(found):
    assert [(k.kind, k.times) for k in found] == [
        ("fusion", 1),
        ("convolution", 1),
        ("fusion", 3),
        ("copy", 1),
    ]


def test_of_a_sliced_argument_the_slice_is_read(found):
    head, conv, twice, copy = (kernel.bytes for kernel in found)
    assert head == 40 + 40
    assert conv == 4 * (2 * 64 * 16 + 32 * 9 * 16 + 2 * 64 * 32)
    assert twice == 3 * 4000
    assert copy == 80


def test_a_convolution_has_two_operations_for_each_multiplication(found):
    assert found[1].operations == 2 * (2 * 64) * (32 * 9 * 16)


def test_a_room_is_named_after_the_source(found):
    assert found[1].room == "backward encoder/stage2"
    assert found[0].room == "update and the rest"


def test_a_kernel_takes_the_longest_of_its_three_times(found):
    rates = {"bandwidth": 1e12, "tf32": 1e14, "bf16": 2e14}
    assert found[0].seconds(**rates) == hlo_cost.LAUNCH
    assert found[0].seconds(bandwidth=1e6, tf32=1e14, bf16=2e14) == pytest.approx(80 / 0.8e6)
    assert found[1].seconds(bandwidth=1e12, tf32=1e9, bf16=2e14) == pytest.approx(
        found[1].operations / 0.4e9
    )


def test_the_parts_add_up_to_the_whole(found):
    rates = {"bandwidth": 1e12, "tf32": 1e14, "bf16": 2e14}
    for field in ("kind", "room"):
        rows = hlo_cost.by(found, field, **rates)
        assert sum(count for _, count, _, _ in rows) == 6
        assert sum(moved for _, _, moved, _ in rows) == sum(k.times * k.bytes for k in found)


def test_a_tpus_cycles_are_its_compilers():
    line = '  %a = f32[8] fusion(%p), metadata={{op_name="jit(f)/{}"}}, {{"estimated_cycles":"{}"}}'
    text = "\n".join([line.format("small", 12), line.format("large", 900)])
    assert hlo_cost.cycles(text) == [(900, "jit(f)/large"), (12, "jit(f)/small")]


@pytest.mark.parametrize("name", [name for name, chip in CHIPS.items() if isinstance(chip, Gpu)])
def test_a_gpus_description_has_its_numbers(name):
    chip = CHIPS[name]
    text = chip.target_config()
    assert f"core_count: {chip.cores}\n" in text
    assert f"memory_bandwidth: {int(chip.bandwidth)}\n" in text
    assert text.count("{") == text.count("}")
