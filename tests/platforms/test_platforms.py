"""What each backend gets."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

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
