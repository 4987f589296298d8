"""Modules that a config names: imported where they are trusted, and one line where they are not."""

import importlib
import json
import sys

import pytest

from radepth_jax.errors import UserError
from radepth_jax.losses import FILTERS
from radepth_jax.runs.checkpoint import FOLDER, UNREADABLE
from radepth_jax.runs.config import check_config, default_config
from radepth_jax.runs.packed_model import CONFIG, PackedModel, write_packed
from radepth_jax.runs.plugins import PluginError, import_plugins
from radepth_jax.runs.saved_model import load_model, save_model
from radepth_jax.runs.state import init_state, variables_of


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """Writes modules into a folder on the path; afterwards nobody has imported them."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(name, text=""):
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()

    yield write
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) == str(tmp_path / f"{name}.py"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (5, r"config\.plugins: expected names of modules, such as \('my_network',\), got 5"),
        ("my_network", "got 'my_network'"),
        (("mine", 5), "got"),
        (("a/b.py",), "got"),
        (("a..b",), "got"),
        (("",), "got"),
        (("nowhere_to_be_found",), "nowhere_to_be_found: there is no such module; install it, or"),
        (("nowhere.to.be",), "nowhere.to.be: there is no such module"),
        (("without",), "without: it imports nowhere_else, which is missing; install that"),
        (("broken",), r"broken: cannot be imported \(ZeroDivisionError: division by zero\)"),
        (("typo",), r"typo: cannot be imported \(SyntaxError: "),
        (("ends",), r"ends: cannot be imported \(SystemExit: 3\)"),
    ],
)
def test_what_is_wrong_is_one_line(write_module, names, expected):
    write_module("without", "import nowhere_else")
    write_module("broken", "1 / 0")
    write_module("typo", "def f(:")
    write_module("ends", "raise SystemExit(3)")
    config = default_config()
    with config.ignore_type():
        config.plugins = names
    with pytest.raises(UserError, match=expected) as error:
        check_config(config)
    assert "\n" not in str(error.value)


def test_plugins_are_imported_before_the_config_is_checked(write_module):
    write_module("mine", "from radepth_jax.losses import FILTERS\nFILTERS['mine'] = lambda x: x")
    config = default_config()
    config.loss.filter = "mine"
    with pytest.raises(UserError, match=r"config\.loss\.filter: expected one of none.*, got 'm"):
        check_config(config)
    config.plugins = ("mine",)
    check_config(config)
    del FILTERS["mine"]


def test_what_a_stranger_names_is_not_imported(write_module):
    write_module("strange", "1 / 0")
    with pytest.raises(PluginError, match=r"theirs: config\.plugins: .* modules strange, .* give "):
        import_plugins(("json", "strange"), allowed=False, origin="theirs")
    import_plugins(("json",), allowed=False)  # which this file imports itself


@pytest.fixture
def named(micro_config, write_module, tmp_path):
    """A model whose config names a plugin, as a run's folder and as `radepth push` packs it."""
    trace = str(tmp_path / "trace")
    write_module("wrote", f"import pathlib\npathlib.Path({trace!r}).write_text('x')")
    micro_config.plugins = ("wrote",)
    variables = variables_of(init_state(micro_config, 1))
    save_model(variables, micro_config, tmp_path / "run")
    write_packed(PackedModel(variables, micro_config, 1), tmp_path / "packed")
    return tmp_path


def test_a_packed_model_imports_its_plugins_if_that_is_allowed(named):
    with pytest.raises(UserError, match=r"packed: config\.plugins: this model names the modules w"):
        load_model(named / "packed")
    assert not (named / "trace").exists()
    load_model(named / "packed", allow_plugins=True)
    assert (named / "trace").read_text() == "x"
    load_model(named / "packed")  # nothing is left to import


@pytest.mark.parametrize("names", [5, "wrote", [5], {"a": 1}, None, ["a\nb"]])
def test_a_packed_config_may_hold_anything(named, names):
    about = json.loads((named / "packed" / CONFIG).read_text())
    about["config"]["plugins"] = names
    (named / "packed" / CONFIG).write_text(json.dumps(about))
    with pytest.raises(UserError) as error:
        load_model(named / "packed", allow_plugins=True)
    assert "\n" not in str(error.value)
    assert str(named / "packed") in str(error.value)
    assert not (named / "trace").exists()


def test_a_run_imports_its_plugins_and_stays_whole_without_them(named):
    assert load_model(named / "run").config.plugins == ("wrote",)
    assert (named / "trace").read_text() == "x"
    del sys.modules["wrote"]
    (named / "wrote.py").unlink()
    importlib.invalidate_caches()
    with pytest.raises(PluginError, match="wrote: there is no such module"):
        load_model(named / "run")
    assert (named / "run" / FOLDER / "0").is_dir()
    assert not (named / "run" / UNREADABLE).exists()


def test_commands_ask_before_they_import(named, radepth):
    code, _, err = radepth("push", "--checkpoint", named / "run", "--to", named / "given")
    assert (code, err) == (0, "")  # one's own run
    assert "**Needs** the Python modules `wrote`" in (named / "given" / "README.md").read_text()
    (named / "trace").unlink()
    del sys.modules["wrote"]
    export = ("export", "--checkpoint", named / "given", "--format", "stablehlo",
              "--output", named / "network", "--platforms", "cpu")  # fmt: skip
    code, _, err = radepth(*export)
    assert code == 2
    assert "names the modules wrote, which would run as programs of yours; if you trust" in err
    assert err.count("\n") == 1
    assert not (named / "trace").exists()
    code, _, err = radepth(*export, "--allow_plugins")
    assert (code, err) == (0, "")
    assert (named / "trace").exists()
