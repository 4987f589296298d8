import csv
import json

import numpy as np
import pytest

from radepth_jax.evaluation import odometry, trajectory_report


def test_all_is_the_mean_over_snippets_not_over_recordings(tmp_path, capsys):
    turn = odometry.motions(np.array([[0, 0.1, 0]] * 8), np.array([[0, 0, -1.0]] * 8))
    scores = {
        name: odometry.score(odometry.straight_ahead(frames), odometry.chain(turn)[:frames])
        for name, frames in (("long", 9), ("short", 5), ("none", 3))
    }
    rows = trajectory_report.make_rows("m", scores)
    assert [(row.sequence, row.snippets) for row in rows] == [
        ("long", 5), ("short", 1), ("none", 0), ("all", 6),
    ]  # fmt: skip
    every = np.concatenate([score.snippet_ate for score in scores.values()])
    assert rows[-1].snippet_ate == pytest.approx(every.mean())
    assert rows[-1].snippet_ate_std == pytest.approx(every.std())
    assert rows[2].snippet_ate is None
    assert trajectory_report.make_rows("m", {"long": scores["long"]}) == rows[:1]

    trajectory_report.print_tables(rows, "title")
    assert f"{every.mean():.4f} ± {every.std():.4f}" in capsys.readouterr().out
    paths = trajectory_report.write_rows(rows, tmp_path)
    with paths[0].open() as file:
        table = list(csv.DictReader(file))
    records = json.loads(paths[1].read_text())
    assert [float(line["length"]) for line in table] == [row["length"] for row in records]
    assert (table[2]["snippet_ate"], records[2]["snippet_ate"]) == ("", None)
