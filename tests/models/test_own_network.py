"""A network of one's own, as docs/extending.md has it."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from radepth_jax.models import presets
from radepth_jax.models.build import DECODERS, ENCODERS, build
from radepth_jax.models.hrnet import HRNet
from radepth_jax.runs.saved_model import load_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def example(tmp_path):
    """The document's config file, outside the package; the decoder that it adds goes again."""
    section = (ROOT / "docs/extending.md").read_text().split("## Add a network")[1]
    path = tmp_path / "my_network.py"
    path.write_text(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1])
    yield path
    DECODERS.pop("sum", None)


def test_the_documents_example_trains_and_is_loaded(example, radepth, street_dir, tmp_path):
    run = tmp_path / "run"
    code, _, err = radepth(
        "train", f"--config={example}", f"--workdir={run}", f"--config.data.data_dir={street_dir}",
        "--config.data.name=street/tiny", "--config.data.workers=0", "--config.data.batch_size=8",
        "--config.pretrained.depth_encoder=", "--config.pretrained.pose_encoder=",
        "--config.model.depth.encoder.branches=3", "--config.model.depth.encoder.modules=(1,1)",
        "--config.model.depth.encoder.blocks=1", "--config.model.depth.encoder.bottlenecks=1",
        "--config.model.depth.encoder.width=4", "--config.model.depth.encoder.stem_width=4",
        "--config.model.depth.decoder.width=4", "--config.model.pose.stages=3",
        "--config.views.resolution=(64,32)", "--config.views.names=('middle',)",
        "--config.evaluate.resolutions=((64,32),)", "--config.train.steps=1",
        "--config.train.log_every=1", "--config.train.validate_every=0",
        "--config.train.picture_every=0",
    )  # fmt: skip
    assert code == 0, err
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["train/total"] > 0 for record in records if "train/total" in record] == [True]
    model = load_model(run)
    decoder = model.variables["depth"]["params"]["decoder"]
    assert sorted(decoder) == ["disparity", "last", "level0", "level1", "level2", "level3"]
    assert decoder["last"]["conv"]["conv"]["kernel"].shape == (3, 3, 4, 4)


class Mean(HRNet):
    """An encoder that takes grey images; nothing of it is in the package."""

    def __call__(self, images, train=False, groups=1):
        grey = jnp.broadcast_to(images.mean(-1, keepdims=True), images.shape)
        return super().__call__(grey, train, groups)


def test_an_encoder_from_outside(monkeypatch):
    monkeypatch.setitem(ENCODERS, "grey", Mean)
    config = presets.tiny("diffnet")  # its decoder needs a field of the encoder
    config["depth"]["encoder"] |= {"name": "grey", "width": 4}
    networks = build(config)
    images = jnp.zeros((1, 32, 64, 3)).at[..., 0].set(0.6)
    variables = jax.jit(networks.depth.init)(jax.random.key(0), images)
    first, second = (networks.depth.apply(variables, x)[0] for x in (images, images[..., ::-1]))
    assert first.shape == (1, 32, 64, 1)
    assert jnp.array_equal(first, second)
