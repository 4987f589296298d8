"""Train the ablation's six variants. Test each at its own and at other resolutions (table 4).

    python experiments/ablation.py --dataset street --budget 1000

It needs the prepared data: `radepth prepare street/full`, or `kitti_raw`. If it is stopped, the
same command resumes.
"""

import runner
from variants import ABLATION, RESOLUTIONS, TRAINED_AT, VARIANTS


def main() -> None:
    options = runner.parse(__doc__, "ablation")
    results = runner.run_variants(ABLATION, options)
    others = [runner.resolution_name(r) for r in RESOLUTIONS[options.size]]
    own = others.pop(TRAINED_AT)
    lines = [
        f"| variant | {own} | mean of {', '.join(others)} | worst AbsRel |",
        "|---|---|---|---|",
    ]
    for name, seeds in results.items():
        worst = max(runner.mean_metrics(seeds, [r])["abs_rel"] for r in (own, *others))
        same, other = (runner.seven(runner.mean_metrics(seeds, rs)) for rs in ([own], others))
        lines.append(f"| {VARIANTS[name].title} | {same} | {other} | {worst:.3f} |")
    runner.write(options, "Ablation", results, "\n".join(lines))


if __name__ == "__main__":
    runner.main(main)
