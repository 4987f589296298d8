"""`report.html`: an evaluation on one page that works from disk, without a network.

The page is `page.html`, filled in by Jinja2, which escapes every name; `page.js` moves it. The
curves are plotly.js's (`plotly-basic.min.js`, its licence beside it); the pictures are made in
`page_pictures`. A content security policy lets the page fetch nothing and run no script but these.
"""

import base64
import datetime
import hashlib
import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import radepth_jax
from radepth_jax.data import EvaluationSource
from radepth_jax.evaluation.curve import curves as flatness
from radepth_jax.evaluation.page_pictures import (
    make_cards,
    pictured_images,
    steps_of,
)
from radepth_jax.evaluation.report import edge_note, figures, intervals
from radepth_jax.evaluation.row import Row, metric_names, pictured_rows
from radepth_jax.files import atomic_write
from radepth_jax.runs.protocol import SCALINGS

LABELS = {
    "abs_rel": "AbsRel (lower is better)",
    "sq_rel": "SqRel, m (lower is better)",
    "rmse": "RMSE, m (lower is better)",
    "rmse_log": "RMSE of log depth (lower is better)",
    "d1": "δ < 1.25 (higher is better)",
    "d2": "δ < 1.25² (higher is better)",
    "d3": "δ < 1.25³ (higher is better)",
    "edge_precision": "Precision of edges (higher is better)",
    "edge_recall": "Recall of edges (higher is better)",
    "edge_f1": "F1 of edges (higher is better)",
    "thin_recall": "Recall of thin structures (higher is better)",
}
_HEADS = {
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel",
    "rmse": "RMSE",
    "rmse_log": "RMSElog",
    "d1": "δ < 1.25",
    "d2": "δ < 1.25²",
    "d3": "δ < 1.25³",
    "edge_precision": "Edge P",
    "edge_recall": "Edge R",
    "edge_f1": "Edge F1",
    "thin_recall": "Thin R",
}
_HOW = SCALINGS | {
    "least squares": "the scale and shift of inverse depth that fit each image's ground truth best",
}


def write_page(
    rows: Sequence[Row],
    source: EvaluationSource,
    folder: str | Path,
    *,
    about: Mapping[str, Any],
    command: str,
    confidence: float = 0.95,
) -> Path:
    """Write `report.html` into a folder.

    It shows a table, curves over resolution, and the images whose predicted depth is in the rows,
    with a slider through the resolutions. The worst image comes first.

    Args:
        rows: what was measured.
        source: the images that it was measured on.
        folder: the folder, which must be there.
        about: `dataset`, `split`, `flip`, and the protocol's fields except its scaling.
        command: the command that made the page, as it was typed.
        confidence: that of the bootstrap intervals. 0 leaves them out.

    Returns:
        The path of the page.
    """
    bounds = [intervals(row, confidence) if confidence else {} for row in rows]
    names = metric_names(rows)
    path = Path(folder) / "report.html"
    pictured = pictured_rows(rows)
    cards = make_cards(pictured, source)
    made = datetime.datetime.now().astimezone()
    text = render_page(
        title=f"Depth on {about['dataset']}, {about['split']}",
        command=command,
        made=made.isoformat(" ", "minutes"),
        version=radepth_jax.__version__,
        facts=_facts(rows, about, confidence),
        heads=[_HEADS[name] for name in names],
        edges="edge_f1" in names,
        rows=[_cells(row, own, names) for row, own in zip(rows, bounds, strict=True)],
        confidence=confidence,
        curves=curves(rows, bounds),
        steps=[resolution for resolution, _ in steps_of(pictured)],
        cards=cards,
        left_out=len(pictured_images(pictured)) - len(cards),
    )
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def render_page(**values: Any) -> str:
    """Fill in `page.html`. All values are escaped, except the scripts and their hashes."""
    package = importlib.resources.files(__package__)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def read(name: str) -> str:
        return (package / name).read_text(encoding="utf-8")

    library = f"/*\n{read('plotly-basic.LICENSE')}*/\n{read('plotly-basic.min.js')}"
    scripts = [library, read("page.js")]
    return environment.from_string(read("page.html")).render(
        values,
        scripts=[Markup(script) for script in scripts],
        hashes=Markup(" ".join(f"'sha256-{_sha256(script)}'" for script in scripts)),
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def curves(
    rows: Sequence[Row], bounds: Sequence[Mapping[str, tuple[float, float]]]
) -> dict[str, Any]:
    """Collect what the curves are drawn from.

    Args:
        rows: what was measured.
        bounds: for each row, the bootstrap intervals by metric, if there are any.

    Returns:
        `metrics`, the name and the label of each, and `models`. A model has a `label` and `points`
        in the order of their widths. A point has a `width` (None for what has no resolution), a
        `resolution`, and `values`: by metric, [mean, low, high] or [mean].
    """
    names = metric_names(rows)
    models: dict[str, list[dict[str, Any]]] = {}
    for row, own in zip(rows, bounds, strict=True):
        values = {name: [row.metrics[name], *own.get(name, ())] for name in names}
        models.setdefault(row.label, []).append(
            {"width": row.width, "resolution": row.resolution, "values": values}
        )
    return {
        "metrics": [{"name": name, "label": LABELS[name]} for name in names],
        "models": [
            {"label": label, "points": sorted(points, key=lambda point: point["width"] or 0)}
            for label, points in models.items()
        ],
    }


def _facts(
    rows: Sequence[Row], about: Mapping[str, Any], confidence: float
) -> list[tuple[str, str]]:
    """The protocol in words."""
    scalings = dict.fromkeys(row.scaling for row in rows)
    facts = [
        ("Data set", f"{about['dataset']}, split {about['split']}"),
        ("Images with ground truth", _span([row.images for row in rows])),
        ("Scaling", "; ".join(f"{name}: {_HOW[name]}" for name in scalings)),
        ("Ground truth", f"over {about['min_depth']:g} m and under {about['max_depth']:g} m"),
        ("Crop", str(about["crop"])),
        ("Mirrored image", "averaged in" if about["flip"] else "not used"),
        ("Averages", "of each metric's value per image"),
    ]
    facts += [("Over resolutions", curve.line()) for curve in flatness(rows)]
    if note := edge_note(rows):
        facts.append(("Edges", note.removeprefix("edges: ")))
    if "ground" in scalings:
        facts.append(("Camera height", f"{about['camera_height']:g} m"))
    if confidence:
        facts.append(("Intervals", f"{confidence:.0%}, bootstrap over images"))
    return facts


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}, as in the table"


def _cells(
    row: Row, own: Mapping[str, tuple[float, float]], names: Sequence[str]
) -> dict[str, Any]:
    return {
        "model": row.model,
        "resolution": row.resolution,
        "scaling": row.scaling,
        "metrics": [
            (f"{row.metrics[name]:.3f}", "{:.3f}–{:.3f}".format(*own[name]) if name in own else "")
            for name in names
        ],
        **figures(row),
    }
