"""What each backend gets."""

import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from published_networks import FAST_COMPILE

from radepth_jax import models, platforms
from radepth_jax.models import presets


def step_program(backend: str) -> str:
    """The tiny depth network's derivative, lowered as it would be on a backend."""
    policy = models.Policy(ops=platforms.for_backend(backend))
    depth = models.build(presets.tiny(), policy).depth
    images = jnp.zeros((2, 32, 64, 3))
    variables = jax.eval_shape(depth.init, jax.random.key(0), images)

    def loss(params, stats):
        (disparity,), _ = depth.apply(
            {"params": params, "batch_stats": stats}, images, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(disparity)

    platform = {"gpu": "cuda"}.get(backend, backend)
    traced = jax.jit(jax.grad(loss)).trace(variables["params"], variables["batch_stats"])
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("backend", ["cpu", "gpu", "tpu"])
def test_only_a_cpu_gets_other_forms(backend):
    program = step_program(backend)
    assert ("inlineable" in program) == (backend == "cpu")
    assert "stablehlo.case" not in program  # no choice is left to the program


def test_they_give_the_same_gradients():
    images = jax.random.uniform(jax.random.key(1), (4, 32, 64, 3))
    variables = models.init_variables(models.build(presets.tiny()), jax.random.key(0), (64, 32))[
        "depth"
    ]

    def gradient(ops):
        depth = models.build(presets.tiny(), models.Policy(ops=ops)).depth

        @partial(jax.jit, compiler_options=FAST_COMPILE)
        @jax.value_and_grad
        def loss(params):
            (disparity,), _ = depth.apply(
                variables | {"params": params},
                images,
                train=True,
                groups=2,
                mutable=["batch_stats"],
            )
            return jnp.mean(jnp.sin(10 * disparity))

        return loss(variables["params"])

    (value, expected), (cpu_value, found) = map(
        gradient, (platforms.PLAIN, platforms.for_backend("cpu"))
    )
    np.testing.assert_allclose(cpu_value, value, rtol=1e-5)
    norm, difference = (
        np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(tree)))
        for tree in (expected, jax.tree.map(jnp.subtract, found, expected))
    )
    assert difference < 1e-4 * norm


SETTINGS = """
import sys
import jax
from radepth_jax import platforms
from radepth_jax.platforms.cpu import malloc

calls = []
for name in ("keep_freed_memory", "reserve_heap_fragments"):
    setattr(malloc, name, lambda name=name: calls.append(name))
if sys.argv[1] != "cpu":
    jax.default_backend = lambda: sys.argv[1]
    platforms._has_a_cpu_alone = lambda: False
platforms.keep_freed_memory()
platforms.reserve_heap_fragments()
print(len(calls))
"""


@pytest.mark.parametrize(("backend", "calls"), [("cpu", 2), ("gpu", 0), ("tpu", 0)])
def test_malloc_is_left_alone_where_a_gpu_computes(backend, calls):
    command = [sys.executable, "-c", SETTINGS, backend]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == calls


def test_weights_in_another_order_are_the_same_weights():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    tree = {"kernel": kernel, "bias": kernel[0, 0, 0]}
    device = jax.devices()[0]
    plain = platforms.place_weights(tree, device, "cpu")
    ordered = platforms.place_weights(tree, device, "gpu")
    assert ordered["kernel"].format.layout.major_to_minor == (3, 0, 1, 2)
    assert ordered["bias"].format.layout == plain["bias"].format.layout
    image = jnp.asarray(np.random.default_rng(1).random((1, 6, 7, 4), np.float32))
    convolve = jax.jit(
        lambda image, kernel: jax.lax.conv_general_dilated(
            image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    )
    np.testing.assert_array_equal(ordered["kernel"], kernel)
    np.testing.assert_allclose(
        convolve(image, ordered["kernel"]), convolve(image, plain["kernel"]), rtol=1e-5, atol=1e-6
    )


def test_repeatable_kernels_are_asked_for_once(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_use_thunk_runtime=true")
    for _ in range(2):
        platforms.ask_for_repeatable_kernels()
    flags = os.environ["XLA_FLAGS"].split()
    assert flags == ["--xla_cpu_use_thunk_runtime=true", platforms.REPEATABLE]
    assert platforms.has_repeatable_kernels()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert platforms.has_repeatable_kernels()
    monkeypatch.delenv("XLA_FLAGS")
    assert not platforms.has_repeatable_kernels()
