"""Does plain training at several resolutions do what RA-Depth's views do?

    python experiments/multi_resolution.py --data_dir runs/demo/data --workdir runs/multi --seed 0

The demo's baseline (the middle view alone, no consistency), but with each step at one of the five
test resolutions, in turns: as many steps as the demo takes. The demo's own table has the baseline
and RA-Depth beside it.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo import HERE, RESOLUTIONS, load_config, without_views

from radepth_jax.cli.cache import use_compilation_cache
from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluate import report
from radepth_jax.evaluate.evaluator import evaluate
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.runs.recipe import Recipe
from radepth_jax.runs.saved_model import load_model
from radepth_jax.train import loop
from radepth_jax.train.step import make_train_step, pmap_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, default=Path("runs/multi"))
    parser.add_argument("--data_dir", type=Path, default=Path("runs/demo/data"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    use_compilation_cache()
    config = without_views(load_config(HERE.parent / "configs" / "ra_depth_street.py", "demo"))
    config.seed, config.data.data_dir = options.seed, str(options.data_dir)

    # The loop makes a step of a recipe; here it makes five, and they take turns.
    loop.make_train_step, loop.pmap_step = (lambda recipe: recipe), in_turns
    loop.train(config, options.workdir)
    rows = evaluate(
        load_model(options.workdir),
        EvaluationSource(open_dataset(config.data.name, config.data.data_dir), "test"),
        RESOLUTIONS,
        protocol=protocol_of(config),
    )
    report.print_table(rows, "street, held-out worlds")
    errors = {row.resolution: row.metrics["abs_rel"] for row in rows}
    (options.workdir / "result.json").write_text(json.dumps(errors, indent=1) + "\n")


def in_turns(recipe: Recipe) -> Callable[..., Any]:
    """A step at the next of the resolutions each time it is called."""
    steps = [
        pmap_step(
            make_train_step(
                dataclasses.replace(
                    recipe, views=dataclasses.replace(recipe.views, resolution=resolution)
                )
            )
        )
        for resolution in RESOLUTIONS
    ]
    taken = 0

    def step(*arguments: Any) -> Any:
        nonlocal taken
        taken += 1
        return steps[taken % len(steps)](*arguments)

    return step


if __name__ == "__main__":
    main()
