"""The KITTI table: the four systems on the test split, trained here or from converted weights.

    python experiments/kitti.py --dataset kitti_raw --size full --budget 66350
    python experiments/kitti.py --checkpoints monodepth2=DIR,ra_depth=DIR

Each DIR of the second form is a workdir, such as `radepth convert` writes. If training is stopped,
the same command resumes it. It needs the prepared data: `radepth prepare kitti_raw`, or
`street/full`.
"""

import argparse
import sys
from pathlib import Path

import runner
from variants import RESOLUTIONS, SYSTEMS, TRAINED_AT, VARIANTS, configure

from radepth_jax.errors import UserError


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--checkpoints", default="", help="VARIANT=WORKDIR, comma separated")
    given, rest = own.parse_known_args(sys.argv[1:])
    options = runner.parse(__doc__, "kitti", rest)
    resolution = runner.resolution_name(RESOLUTIONS[options.size][TRAINED_AT])
    if given.checkpoints:
        results = {
            name: [test_checkpoint(name, workdir, options)]
            for name, workdir in parse_checkpoints(given.checkpoints).items()
        }
        source = "From the checkpoints named in the command; budget and seeds do not apply."
    else:
        results = runner.run_variants(SYSTEMS, options)
        source = f"Test split, {resolution}, mean of the seeds."
    lines = [source, "", "| method | train | AbsRel SqRel RMSE RMSElog d1 d2 d3 |", "|---|---|---|"]
    for name, seeds in results.items():
        metrics = runner.seven(runner.mean_metrics(seeds, [resolution]))
        lines.append(f"| {VARIANTS[name].title} | {options.mode} | {metrics} |")
    runner.write(options, f"Test split of {options.dataset}", results, "\n".join(lines))


def parse_checkpoints(text: str) -> dict[str, Path]:
    """Maps variants to workdirs."""
    pairs = [item.partition("=") for item in text.split(",")]
    for name, _, workdir in pairs:
        if name not in VARIANTS or not workdir:
            raise UserError(
                f"--checkpoints: expected VARIANT=WORKDIR with one of {', '.join(VARIANTS)}, "
                f"got {name}={workdir}"
            )
    return {name: Path(workdir) for name, _, workdir in pairs}


def test_checkpoint(name: str, workdir: Path, options: argparse.Namespace) -> runner.Rows:
    """A checkpoint's rows under the experiment's protocol."""
    config = configure(
        name,
        size=options.size,
        dataset=runner.dataset_name(options),
        data_dir=options.data_dir,
        steps=1,
        seed=0,
        mode=options.mode,
    )
    return runner.test(config, workdir)


if __name__ == "__main__":
    runner.main(main)
