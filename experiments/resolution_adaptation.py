"""Train the four systems at one resolution and test them at five (RA-Depth, table 2).

    python experiments/resolution_adaptation.py --dataset street --budget 1000

It needs the prepared data: `radepth prepare street/full`, or `kitti_raw`. If it is stopped, the
same command resumes.
"""

import runner
from variants import RESOLUTIONS, SYSTEMS, VARIANTS


def main() -> None:
    options = runner.parse(__doc__, "resolution_adaptation")
    results = runner.run_variants(SYSTEMS, options)
    resolutions = [runner.resolution_name(r) for r in RESOLUTIONS[options.size]]
    lines = [
        "| AbsRel | " + " | ".join(resolutions) + " | worst | worst of each seed |",
        "|" + "---|" * (len(resolutions) + 3),
    ]
    for name, seeds in results.items():
        means = [runner.mean_metrics(seeds, [r])["abs_rel"] for r in resolutions]
        worst = [max(row["abs_rel"] for row in rows) for rows in seeds]
        cells = [f"{mean:.3f}" for mean in (*means, max(means))]
        cells.append(", ".join(f"{value:.3f}" for value in worst))
        lines.append(f"| {VARIANTS[name].title} | " + " | ".join(cells) + " |")
    lines += ["", "All seven metrics, averaged over the seeds:", ""]
    lines += ["| test | " + " | ".join(VARIANTS[name].title for name in results) + " |"]
    lines += ["|" + "---|" * (len(results) + 1)]
    for resolution in resolutions:
        cells = [runner.seven(runner.mean_metrics(s, [resolution])) for s in results.values()]
        lines.append(f"| {resolution} | " + " | ".join(cells) + " |")
    runner.write(options, "Resolution adaptation", results, "\n".join(lines))


if __name__ == "__main__":
    runner.main(main)
