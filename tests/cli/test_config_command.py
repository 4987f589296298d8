"""`radepth config`: every field with its value, what it takes, what it means, and its default."""

import re
import shlex
from pathlib import Path

import pytest
from flax.traverse_util import flatten_dict

from radepth_jax.cli.train import parse
from radepth_jax.runs.config import default_config, to_json

CONFIGS = Path(__file__).parents[2] / "configs"
STREET = CONFIGS / "ra_depth_street.py"


def overrides(text):
    """The fields as a shell reads them: without the comments."""
    lines = [line for line in text.splitlines() if line.startswith("  --config.")]
    return [word for line in lines for word in shlex.split(line, comments=True)]


def entry(text, name):
    """A field's line, and what is said of it."""
    found = re.search(rf"^  --config\.{re.escape(name)}=.*\n((?:      .*\n)*)", text, re.M)
    line, _, said = found[0].partition("\n")
    return line.strip(), " ".join(said.split())


def test_without_a_file_all_fields_have_their_defaults(radepth):
    code, text, err = radepth("config")
    assert (code, err) == (0, "")
    names = [word.removeprefix("--config.").partition("=")[0] for word in overrides(text)]
    expected = flatten_dict(to_json(default_config()), sep=".")
    assert sorted(names) == sorted(expected)
    assert "config.optimizer.options is empty" in text
    assert "# differs" not in text.replace('"# differs"', "")
    assert "0 of these fields differ" in text
    line, said = entry(text, "pretrained.keep")
    assert line == "--config.pretrained.keep=0.0"
    assert said.startswith("After the last step the weights go this share")
    assert said.endswith("[a number from 0 to 1]")
    assert entry(text, "evaluate.crop")[1].endswith("[one of none, garg, nyu]")
    assert entry(text, "views.entries.low.scale")[1].startswith("(smallest, largest) size of the")
    assert entry(text, "views.augmentations.cut_out.share")[1].startswith("The rectangle's height")
    assert entry(text, "model.depth.encoder.width")[1].startswith(
        "The channels of the finest branch"
    )


def test_what_differs_is_marked_and_every_line_is_an_override(radepth):
    given = ["--config.data.batch_size=3", '--config.data.source=it\'s "here" # not']
    code, text, _ = radepth("config", f"{STREET}:demo", *given)
    assert code == 0
    assert entry(text, "data.batch_size")[0].endswith("  # differs: default 12")
    assert entry(text, "data.workers")[0] == "--config.data.workers=0  # differs: default -1"
    assert entry(text, "data.train_split")[0] == "--config.data.train_split=train"
    assert text.count("  # differs: ") == int(re.search(r"(\d+) of these fields", text)[1])
    expected = to_json(parse([f"--config={STREET}:demo", *given, "--workdir=run"])[0])
    again = parse([f"--config={STREET}", "--workdir=run", *overrides(text)])[0]
    assert to_json(again) == expected


def test_fields_of_another_network_differ_from_its_own_defaults(radepth):
    _, text, _ = radepth("config", f"{CONFIGS / 'compared_kitti.py'}:monodepth2_resnet50")
    line, _ = entry(text, "model.depth.encoder.name")
    assert line == "--config.model.depth.encoder.name=resnet  # differs: default hrnet"
    line, _ = entry(text, "model.depth.encoder.layers")
    assert line == "--config.model.depth.encoder.layers=50  # differs: default 18"
    assert entry(text, "model.depth.encoder.width")[0] == "--config.model.depth.encoder.width=64"


def test_a_field_that_nothing_reads_is_shown_as_such(radepth, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from radepth_jax.runs.config import default_config\n"
        "def get_config():\n"
        "    config = default_config()\n"
        "    config.train.stepz = 3\n"
        "    return config\n"
    )
    _, text, _ = radepth("config", path)
    line, said = entry(text, "train.stepz")
    assert line.endswith("# differs: it has no default")
    assert said.startswith("Nothing in this package reads it.")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nothing.py"], "nothing.py"),
        (["--config.batch_norm=all"], "config.batch_norm: expected one of per_view, joint"),
        (["--config.data.batch_siz=3"], "--config.data.batch_siz=3"),
    ],
)
def test_what_cannot_be_used_is_one_line(radepth, arguments, expected):
    code, out, err = radepth("config", *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert len(err.splitlines()) == 1
