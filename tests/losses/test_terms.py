"""A term of one's own, as docs/extending.md has it."""

import json
import re
from pathlib import Path

import pytest

from radepth_jax.losses import TERMS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def example(tmp_path):
    """The document's config file, outside the package; the term that it adds goes again."""
    section = (ROOT / "docs/extending.md").read_text().split("## Add a term to the loss")[1]
    path = tmp_path / "my_config.py"
    path.write_text(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1])
    before = dict(TERMS)
    yield path
    TERMS.clear()
    TERMS.update(before)


def test_the_documents_example_trains(example, radepth, street_dir, tmp_path):
    run = tmp_path / "run"
    code, text, err = radepth(
        "train", f"--config={example}", f"--workdir={run}", f"--config.data.data_dir={street_dir}",
        "--config.data.name=street/tiny", "--config.data.workers=0", "--config.data.batch_size=8",
        "--config.pretrained.depth_encoder=", "--config.pretrained.pose_encoder=",
        "--config.model.depth.encoder.branches=3", "--config.model.depth.encoder.modules=(1,1)",
        "--config.model.depth.encoder.blocks=1", "--config.model.depth.encoder.bottlenecks=1",
        "--config.model.depth.encoder.width=4", "--config.model.depth.encoder.stem_width=4",
        "--config.views.resolution=(64,32)", "--config.views.names=('middle','low')",
        "--config.evaluate.resolutions=((64,32),)", "--config.train.steps=2",
        "--config.train.log_every=1", "--config.train.validate_every=0",
        "--config.train.picture_every=0", "--config.loss.weights.edges=0.5",
        "--config.loss.noise=0.0", "--config.views.augmentations.colour_jitter.hue=0.05",
    )  # fmt: skip
    assert code == 0, err
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [record for record in records if "train/total" in record]
    assert len(steps) == 2, text
    for record in steps:
        weights = {"photometric": 1.0, "smoothness": 1e-3, "consistency": 1.0, "edges": 0.5}
        terms = {name: sum(v for k, v in record.items() if k.startswith(f"train/{name}_"))
                 for name in weights}  # fmt: skip
        assert terms["edges"] > 0
        total = sum(weight * terms[name] for name, weight in weights.items())
        assert record["train/total"] == pytest.approx(total, rel=1e-5)
