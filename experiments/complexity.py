"""Size and speed of the compared depth networks at one resolution.

    python experiments/complexity.py --resolution 640x192

Parameters are counted as trained here and as in the published files, which also hold weights that
no network uses (a ResNet's classifier, a few of HR-Depth's convolutions). Multiply-accumulates are
counted in two ways. The first counts traced convolutions and matrix products, with padding, as
published figures do. The second is half the operations of XLA's cost analysis, which leaves
products with padding out and counts everything else.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import runner
from jax.extend.core import ClosedJaxpr, Jaxpr

from radepth_jax import models
from radepth_jax.interop.torch_layouts import unused_shapes
from radepth_jax.models import presets
from radepth_jax.platforms import for_backend
from radepth_jax.runs.config import parse_resolution

TITLES = {
    "ra_depth": "RA-Depth",
    "diffnet": "DIFFNet",
    "hr_depth": "HR-Depth",
    "monodepth2": "Monodepth2",
    "monodepth2_resnet50": "Monodepth2, ResNet-50",
    "hrnet_skip": "HRNet, Monodepth2 decoder",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", default="640x192")
    parser.add_argument("--batch", default=1, type=int)
    parser.add_argument("--repeats", default=10, type=int, help="0 does not time")
    parser.add_argument("--output", default=runner.HERE / "results" / "complexity", type=Path)
    options = parser.parse_args()
    resolution = parse_resolution("--resolution", options.resolution)
    rows = {name: measure(name, resolution, options.batch, options.repeats) for name in TITLES}
    lines = [
        f"# Depth networks at {options.resolution}",
        "",
        f"`{runner.command()}`",
        "",
        "| | parameters | in published files | GMACs | XLA operations / 2 (G) | images/s |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        lines.append(
            f"| {TITLES[name]} | {row['parameters'] / 1e6:.3f} M "
            f"| {row['published_parameters'] / 1e6:.3f} M | {row['macs'] / 1e9:.2f} "
            f"| {row['xla_operations'] / 2e9:.2f} | {row['images_per_second']:.2f} |"
        )
    machine = runner.machine()
    lines += [
        "",
        f"Batch {options.batch}, float32, median of {options.repeats}. Commit {machine['commit']}; "
        f"{machine['devices']}; {machine['cores']} CPU cores; jax {machine['jax']}.",
    ]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.with_suffix(".md").write_text("\n".join(lines) + "\n")
    record = {"command": runner.command(), "machine": machine, "rows": rows}
    options.output.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(lines))


def measure(name: str, resolution: tuple[int, int], batch: int, repeats: int) -> dict:
    """One network's row. Images/s is NaN without repeats."""
    config = presets.MODELS[name]()
    networks = models.build(config)
    width, height = resolution
    shapes = models.variable_shapes(networks, resolution)["depth"]
    images = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    lowered = jax.jit(networks.depth.apply).lower(shapes, images)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    unused = sum(
        int(np.prod(shape))
        for (part, key), shape in unused_shapes(config).items()
        if part in ("encoder", "depth") and not key.startswith("convs.")
    )
    return {
        "parameters": parameters,
        "published_parameters": parameters + unused,
        "macs": multiply_accumulates(jax.make_jaxpr(networks.depth.apply)(shapes, images).jaxpr),
        "xla_operations": lowered.cost_analysis()["flops"],
        "images_per_second": images_per_second(networks, resolution, batch, repeats),
    }


def multiply_accumulates(jaxpr: Jaxpr) -> int:
    """The count over all convolutions (without groups) and matrix products in a traced function."""
    total = 0
    for equation in jaxpr.eqns:
        out = equation.outvars[0].aval
        if equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape  # [h, w, in, out]
            total += int(np.prod(out.shape)) * int(np.prod(kernel[:3]))
        elif equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            sizes = [equation.invars[0].aval.shape[axis] for axis in contracted]
            total += int(np.prod(out.shape)) * int(np.prod(sizes))
        for value in jax.tree.leaves(list(equation.params.values())):
            if isinstance(value, Jaxpr | ClosedJaxpr):
                total += multiply_accumulates(getattr(value, "jaxpr", value))
    return total


def images_per_second(
    networks: models.Networks, resolution: tuple[int, int], batch: int, repeats: int
) -> float:
    """Median speed of the compiled network."""
    if not repeats:
        return float("nan")
    width, height = resolution
    variables = models.init_network(networks, "depth", jax.random.key(0), resolution)
    images = jnp.zeros((batch, height, width, 3))
    native = networks.depth.with_policy(ops=for_backend(jax.default_backend()))
    predict = jax.jit(native.apply)
    jax.block_until_ready(predict(variables, images))
    took = []
    for _ in range(repeats):
        begun = time.perf_counter()
        jax.block_until_ready(predict(variables, images))
        took.append(time.perf_counter() - begun)
    return batch / statistics.median(took)


if __name__ == "__main__":
    runner.main(main)
