"""`report.html` as parsed, and as Chromium shows it."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.page import curves, write_page
from radepth_jax.evaluation.row import Row, make_row
from radepth_jax.runs.protocol import Protocol

EVIL = "</script><script>document.title='owned'</script>&lt;b>\"x'"
ABOUT = {"dataset": "street/tiny", "split": "test", "flip": False} | {
    name: getattr(Protocol(), name) for name in ("min_depth", "max_depth", "crop", "camera_height")
}


def sample(name):
    return {
        "image": np.full((32, 96, 3), 120, np.uint8),
        "size": np.array((32, 96)),
        "depth": np.full((32, 96), 10, np.float32),
        "depth_size": np.array((32, 96)),
        "name": name,
    }


@pytest.fixture
def source():
    return [sample(f"{number} {EVIL}") for number in range(4)]


def row(model, resolution, source, *, depths=(0, 2), scaling="median", **rest):
    """Image 2 is the worst, then 1, 3, 0."""
    errors = np.array([0.1, 0.3, 0.4, 0.2])
    per_image = {name: errors for name in METRICS}
    per_image |= dict.fromkeys(("scale", "median_ratio"), np.full(4, 2.0))
    per_image |= {"pixels": np.full(4, 100), "known": np.full(4, 100)}
    per_image |= {"not_finite": np.zeros(4, int), "not_positive": np.zeros(4, int)}
    return make_row(
        model, resolution, scaling, [one["name"] for one in source], per_image,
        depths={i: np.linspace(4, 6, 32 * 96, dtype=np.float32).reshape(32, 96) for i in depths},
        **rest,
    )  # fmt: skip


@pytest.fixture
def rows(source):
    named = [row(model, r, source) for model in ("one", EVIL) for r in ("96x32", "64x32")]
    return [
        *named,
        row("one", "64x32", source, scaling="ground"),
        row("one", "native", source, width=96),
        row(EVIL, "native", source, width=96),
        row("prior", "native", source, depths=()),
    ]


class Page(HTMLParser):
    """Elements as (tag, attributes, text), in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])
        if tag not in ("img", "meta", "input", "br"):
            self.open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for element in self.open:
            element[2] += data

    def all(self, tag, **attributes):
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [
            (found, text)
            for name, found, text in self.elements
            if name == tag and wanted.items() <= found.items()
        ]


def write(rows, source, folder, **options):
    options = {"about": ABOUT, "command": f"radepth evaluate --x {EVIL}"} | options
    return write_page(rows, source, folder, **options)


@pytest.fixture
def page(rows, source, tmp_path):
    page = Page(write(rows, source, tmp_path).read_text("utf-8"))
    assert page.open == []  # well formed
    return page


def test_names_are_text_everywhere(page, source):
    assert len(page.all("script")) == 4  # two of data, plotly.js and ours
    assert page.all("code", id="command")[0][1].endswith(EVIL)
    assert [text for _, text in page.all("th", class_="model")].count(EVIL) == 3
    assert source[2]["name"] in page.all("h3")[0][1]
    assert any(EVIL in attributes["alt"] for attributes, _ in page.all("img"))
    data = json.loads(page.all("script", id="curves-data")[0][1])
    assert [model["label"] for model in data["models"]] == ["one", EVIL, "one (ground)", "prior"]


def test_the_policy_allows_its_own_two_scripts_and_no_network(page):
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    hashes = re.findall(r"'sha256-([^']+)'", policy[0]["content"])
    scripts = [text for attributes, text in page.all("script") if "type" not in attributes]
    own = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert hashes == own
    assert policy[0]["content"].startswith("default-src 'none'; img-src data: blob:;")
    for _, attributes, _ in page.elements:
        assert not {"src", "href"} & set(attributes) or attributes["src"].startswith("data:image/")


def test_the_table_has_every_row_with_its_intervals(page, rows):
    assert len(page.all("th", scope="row")) == len(rows)
    assert page.all("small")[0][1].count("–") == 1
    assert len(page.all("small")) == len(rows) * len(METRICS)
    assert "95 % bootstrap" in page.all("p", id="table-note")[0][1]


def test_without_confidence_there_are_no_intervals(rows, source, tmp_path):
    page = Page(write(rows, source, tmp_path, confidence=0).read_text("utf-8"))
    assert not page.all("small")
    data = json.loads(page.all("script", id="curves-data")[0][1])
    assert {len(values) for m in data["models"] for p in m["points"] for values in
            p["values"].values()} == {1}  # fmt: skip


def test_depth_maps_are_by_resolution_and_the_worst_image_is_first(page):
    assert json.loads(page.all("script", id="steps-data")[0][1]) == ["64x32", "96x32", "native"]
    (slider,) = page.all("input", type="range")
    assert (slider[0]["max"], slider[0]["aria-valuetext"]) == ("2", "64x32")
    assert page.all("label", for_=slider[0]["id"])
    heads = [text for _, text in page.all("h3")]
    assert heads[0].startswith("2 ")
    assert heads[0].endswith("AbsRel 0.400, worst 1 of 4")
    assert heads[1].endswith("AbsRel 0.100, worst 4 of 4")
    steps = [a["data-step"] for a, _ in page.all("figure") if "data-step" in a]
    assert steps == ["0", "1", "2"] * 4  # two images, two models
    hidden = {a["data-step"] for a, _ in page.all("figure") if "hidden" in a}
    assert hidden == {"1", "2"}
    assert all(attributes["alt"] for attributes, _ in page.all("img"))


def test_depth_maps_of_another_program_are_always_shown(source, tmp_path):
    rows = [row("one", r, source) for r in ("64x32", "96x32")] + [row("other", "as given", source)]
    page = Page(write(rows, source, tmp_path).read_text("utf-8"))
    assert json.loads(page.all("script", id="steps-data")[0][1]) == ["64x32", "96x32"]
    figures = {text: a for a, text in page.all("figure")}
    assert figures["other, as given: AbsRel 0.400"] == {}
    alone = Page(write(rows[2:], source, tmp_path).read_text("utf-8"))
    assert not alone.all("input")
    assert "other, as given: AbsRel 0.400" in [text for _, text in alone.all("figure")]


def test_without_pictures_there_is_no_slider(source, tmp_path):
    page = Page(
        write([row("one", "64x32", source, depths=())], source, tmp_path).read_text("utf-8")
    )
    assert not page.all("input")
    assert not page.all("img")


def test_rows_without_per_image_figures_have_no_intervals(tmp_path):
    metrics = dict.fromkeys(METRICS, 0.5)
    page = Page(write([Row("one", "64x32", metrics, 3)], [], tmp_path).read_text("utf-8"))
    assert len(page.all("th", scope="row")) == 1
    assert not page.all("small")


def test_curves_go_by_width_and_levels_have_none(rows):
    models = {m["label"]: m["points"] for m in curves(rows, [{} for _ in rows])["models"]}
    assert [(p["width"], p["resolution"]) for p in models["one"]] == [
        (64, "64x32"),
        (96, "96x32"),
        (96, "native"),
    ]
    assert models["prior"][0]["width"] is None


def test_chromium_draws_the_curves_and_moves_the_slider(rows, source, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        pytest.skip("needs Chromium (on Debian: apt-get install chromium)")
    path = write(rows, source, tmp_path)

    def shown(address):
        done = subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
                "--virtual-time-budget=5000", "--dump-dom", address,
            ],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return Page(done.stdout)

    page = shown(f"{path.as_uri()}#resolution=96x32")
    assert page.all("title")[0][1] == "Depth on street/tiny, test"  # no name became a script
    (slider,) = page.all("input", type="range")
    assert slider[0]["aria-valuetext"] == "96x32"
    visible = {
        a["data-step"] for a, _ in page.all("figure") if "data-step" in a and "hidden" not in a
    }
    assert visible == {"1"}
    assert len(page.all("option")) == len(METRICS)
    legend = [text.replace("\u200b", "") for _, text in page.all("text", class_="legendtext")]
    assert legend == ["one", EVIL, "one (ground)", "prior"]
    visible = {
        a["data-step"]
        for a, _ in shown(path.as_uri()).all("figure")
        if "data-step" in a and "hidden" not in a
    }
    assert visible == {"0"}
