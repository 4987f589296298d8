"""What a training step or a prediction would need on a GPU or TPU that is not here.

    pip install 'jax[cuda12]'   # or 'jax[tpu]'; no driver and no device are needed
    python experiments/accelerator.py h100 --batch 12 --dtype float32 --output runs/h100
    python experiments/accelerator.py v5e --batch 12 --dtype bfloat16 --output runs/v5e
    python experiments/accelerator.py rtx4090 --resolution 1024x320 --largest
    python experiments/accelerator.py h100 --against runs/h100/earlier.json

XLA compiles for the device, and its program tells the memory, the kernels and the bytes that each
kernel moves. A model of the time follows from these (hlo_cost.py). It is not a measurement, but it
shows which parts take most, and whether a change helps. To compare two commits, run this in both
and give the earlier result as `--against`. Compiling takes minutes.
"""

import argparse
import dataclasses
import glob
import json
import os
import site
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import hlo_cost
from chips import CHIPS, Gpu, Tpu

GIB = 2**30
FRAMES = (376, 1248)  # the native canvas of KITTI


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chip", choices=sorted(CHIPS))
    parser.add_argument("--work", choices=("train", "inference"), default="train")
    parser.add_argument("--config", default="configs/ra_depth_kitti.py", help="FILE[:VARIANT]")
    parser.add_argument("--batch", type=int, default=12, help="images per chip")
    parser.add_argument("--chips", type=int, default=1)
    parser.add_argument("--resolution", help="WxH instead of the config's")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rematerialise", action="store_true")
    parser.add_argument("--fixed_statistics", action="store_true", help="of BatchNorm")
    parser.add_argument("--largest", action="store_true", help="the largest batch that fits, too")
    parser.add_argument("--against", type=Path, help="an earlier result.json to compare with")
    parser.add_argument("--output", type=Path, help="folder for result.json and program.txt")
    parser.add_argument(
        "--rooms", type=int, default=16, help="how many lines on where the time goes"
    )
    options = parser.parse_args()
    chip = CHIPS[options.chip]
    prepare_compiler(chip)

    result, text = measure(options, chip, options.batch)
    if options.largest:
        result["largest_batch"] = largest(options, chip, result)
    show(result, text, chip, options.rooms)
    if options.against:
        compare(json.loads(options.against.read_text()), result)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "result.json").write_text(json.dumps(result, indent=1) + "\n")
        (options.output / "program.txt").write_text(text)


def prepare_compiler(chip: Gpu | Tpu) -> None:
    """Make settings that JAX reads when it is imported. Nothing may import it before."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    if isinstance(chip, Gpu):
        # Without these two flags compiling fails, because there is no device to time candidates on.
        flags = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
        return
    found = [p for s in site.getsitepackages() for p in glob.glob(f"{s}/libtpu/libtpu.so")]
    if not found:
        sys.exit("libtpu is not installed: pip install 'jax[tpu]'")
    os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "TPU_LIBRARY_PATH": found[0]}


def measure(options: argparse.Namespace, chip: Gpu | Tpu, batch: int) -> tuple[dict, str]:
    """Compile for the chip. Returns figures and the program's text."""
    start = time.perf_counter()
    lowered = lower(options, chip, batch)
    lowering, start = time.perf_counter() - start, time.perf_counter()
    compiled = lowered.compile()
    compiling = time.perf_counter() - start
    memory, text = compiled.memory_analysis(), compiled.as_text()
    result: dict[str, Any] = {
        "chip": chip.title,
        "command": " ".join(sys.argv),
        "batch": batch,
        "lowering_s": round(lowering, 1),
        "compile_s": round(compiling, 1),
        "arguments_gib": round(memory.argument_size_in_bytes / GIB, 3),
        "temporaries_gib": round(memory.temp_size_in_bytes / GIB, 3),
        "chip_gib": round(chip.memory / GIB, 2),
    }
    if isinstance(chip, Gpu):
        rates = {"bandwidth": chip.bandwidth, "tf32": chip.tf32, "bf16": chip.bf16}
        found = hlo_cost.kernels(text)
        result |= {
            "kernels": sum(k.times for k in found),
            "gigabytes": round(sum(k.times * k.bytes for k in found) / 1e9, 2),
            "modelled_ms": round(sum(k.seconds(**rates) for k in found) * 1e3, 2),
        }
    else:
        found_cycles = [count for count, _ in hlo_cost.cycles(text)]
        result |= {
            "operations": len(found_cycles),
            "compilers_ms": round(sum(found_cycles) / chip.clock / 1e6, 2),
        }
    return result, text


def lower(options: argparse.Namespace, chip: Gpu | Tpu, batch: int) -> Any:
    """The program for the chip, before it is compiled."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from demo import load_config
    from jax.experimental import topologies
    from jax.experimental.layout import Format
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    from radepth_jax import models
    from radepth_jax.devices import AXIS
    from radepth_jax.models.fold import fold_norms
    from radepth_jax.platforms import CUDNN_KERNEL, for_backend
    from radepth_jax.runs.config import parse_resolution
    from radepth_jax.runs.flat import flat_state
    from radepth_jax.runs.recipe import make_recipe
    from radepth_jax.runs.state import state_shapes
    from radepth_jax.training.step import make_train_step

    if isinstance(chip, Gpu):
        topology = topologies.get_topology_desc(
            platform="cuda",
            topology=f"1x1x{options.chips}",
            target_config=chip.target_config(),
        )
    else:
        topology = topologies.get_topology_desc(topology_name=chip.topology, platform="tpu")
    mesh = Mesh(np.asarray(topology.devices[: options.chips]), (AXIS,))

    path, _, variant = options.config.partition(":")
    config = load_config(Path(path), *filter(None, [variant]))
    config.model.dtype = options.dtype
    config.train.rematerialise = options.rematerialise
    if options.resolution:
        config.views.resolution = parse_resolution("--resolution", options.resolution)
    width, height = config.views.resolution

    def on(tree: Any, *spec: Any) -> Any:
        sharding = NamedSharding(mesh, PartitionSpec(*spec))
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
        )

    ops = for_backend("gpu" if isinstance(chip, Gpu) else "tpu")
    images = batch * options.chips
    if options.work == "inference":
        networks = models.build(config.model, models.Policy(ops=ops))
        shapes = models.variable_shapes(networks, (width, height))["depth"]
        zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        network, variables = fold_norms(networks.depth, zeros)
        pictures = jax.ShapeDtypeStruct((images, height, width, 3), jnp.float32)
        # This is what `platforms.place_weights` does if there is a device.
        whole = NamedSharding(mesh, PartitionSpec())
        ordered = Format(CUDNN_KERNEL, whole)
        formats = jax.tree.map(
            lambda x: ordered if isinstance(chip, Gpu) and x.ndim == 4 else whole, variables
        )
        along = NamedSharding(mesh, PartitionSpec(AXIS))
        predict = jax.jit(lambda v, x: network.apply(v, x)[0], in_shardings=(formats, along))
        return predict.lower(jax.eval_shape(lambda: variables), pictures)

    steps = config.train.steps or 66_350  # the steps of 20 epochs of the published split
    recipe = make_recipe(config, steps, ops=ops)
    recipe = dataclasses.replace(recipe, fixed_statistics=options.fixed_statistics)
    step = make_train_step(recipe)
    data = {
        "frames": jax.ShapeDtypeStruct((images, 3, *FRAMES, 3), jnp.uint8),
        "size": jax.ShapeDtypeStruct((images, 2), jnp.int32),
        "intrinsics": jax.ShapeDtypeStruct((images, 3, 3), jnp.float32),
        "skipped": jax.ShapeDtypeStruct((images,), jnp.int32),
    }
    specs = (PartitionSpec(), PartitionSpec(AXIS), PartitionSpec())
    mapped = jax.shard_map(
        partial(step, axis_name=AXIS),
        mesh=mesh,
        in_specs=specs,
        out_specs=(PartitionSpec(), PartitionSpec()),
        check_vma=False,
    )
    seed = jax.ShapeDtypeStruct((), jnp.int32)
    state = jax.eval_shape(flat_state, state_shapes(config, steps))
    return jax.jit(mapped, donate_argnums=0).lower(on(state), on(data, AXIS), on(seed))


def largest(options: argparse.Namespace, chip: Gpu | Tpu, result: dict) -> int:
    """The largest batch that fits a chip, from a line through the memory of two batches.

    Half a gibibyte is left for the program and the libraries.
    """
    batch = max(result["batch"] // 2, 1)
    other, _ = measure(options, chip, batch if batch != result["batch"] else 2)
    slope = (result["temporaries_gib"] - other["temporaries_gib"]) / (
        result["batch"] - other["batch"]
    )
    start = result["temporaries_gib"] - slope * result["batch"]
    free = chip.memory / GIB - 0.5 - result["arguments_gib"] - start
    return max(int(free / slope), 0)


def show(result: dict, text: str, chip: Gpu | Tpu, rooms: int) -> None:
    """Print the figures, and where the time goes."""
    for name, value in result.items():
        print(f"{name:16} {value}")
    need = result["arguments_gib"] + result["temporaries_gib"]
    fits = "fits" if need < result["chip_gib"] - 0.5 else "does not fit"
    print(f"{need:.1f} of {result['chip_gib']} GiB: batch {result['batch']} {fits}")
    if isinstance(chip, Gpu):
        rates = {"bandwidth": chip.bandwidth, "tf32": chip.tf32, "bf16": chip.bf16}
        found = hlo_cost.kernels(text)
        for field in ("kind", "room"):
            print(f"\n{field:42} kernels       GB       ms")
            for key, count, moved, seconds in hlo_cost.by(found, field, **rates)[:rooms]:
                print(f"{key:42} {count:7} {moved / 1e9:8.2f} {seconds * 1e3:8.2f}")
    else:
        for count, name in hlo_cost.cycles(text)[:rooms]:
            print(f"{count / chip.clock / 1e6:8.2f} ms  {name[-100:]}")


def compare(before: dict, after: dict) -> None:
    """Print the figures that both results have, and their ratios."""
    print(f"\n{'':16} {'before':>10} {'after':>10} {'ratio':>7}")
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, int | float) and isinstance(old, int | float) and old:
            print(f"{name:16} {old:10} {value:10} {value / old:7.2f}")


if __name__ == "__main__":
    main()
