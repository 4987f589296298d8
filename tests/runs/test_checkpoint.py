import logging
import re
import shutil

import jax
import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.runs.checkpoint import FOLDER, UNREADABLE, Checkpoints, load_checkpoint
from radepth_jax.runs.state import init_state

# Orbax gives up at the first damaged array; reads still under way then find its event loop closed.
reads_left_over = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_a_checkpoint_alone_rebuilds_state_and_config(micro_config, tmp_path):
    state = init_state(micro_config, 10)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, micro_config, 10)
        checkpoints.wait()
    restored, config = load_checkpoint(tmp_path)
    assert config.to_dict() == micro_config.to_dict()
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(restored), strict=True):
        np.testing.assert_array_equal(a, b)
    assert jax.tree.structure(state) == jax.tree.structure(restored)


def test_a_folder_without_checkpoints_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint here; give the --workdir"):
        load_checkpoint(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.fixture(scope="module")
def three_steps(reference_config, tmp_path_factory):
    """A working directory with checkpoints of steps 1 to 3, whose `nonfinite` is the step."""
    workdir = tmp_path_factory.mktemp("run")
    state = init_state(reference_config, 10)
    with Checkpoints(workdir) as checkpoints:
        for step in range(1, 4):
            state = state.replace(step=np.int32(step), nonfinite=np.int32(step))
            checkpoints.save(state, reference_config, 10)
    return workdir


@pytest.fixture
def workdir(three_steps, tmp_path):
    return shutil.copytree(three_steps, tmp_path / "run")


def break_data(folder):
    for path in folder.rglob("d/*"):
        path.write_bytes(b"broken")


def flip_a_bit_of_a_weight(folder):
    """In the middle of the largest file, which holds nothing else there."""
    path = max(folder.rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty_the_config(folder):
    (folder / "config" / "metadata").write_text("")


def remove_the_state(folder):
    shutil.rmtree(folder / "state")


DAMAGE = [break_data, flip_a_bit_of_a_weight, empty_the_config, remove_the_state]


@reads_left_over
@pytest.mark.parametrize("damage", DAMAGE)
def test_an_older_checkpoint_stands_in_for_a_damaged_one(workdir, caplog, damage):
    damage(workdir / FOLDER / "3")
    with caplog.at_level(logging.WARNING):
        state, _ = load_checkpoint(workdir)
    assert int(state.step) == int(state.nonfinite) == 2
    assert re.search(r"checkpoints/3: not a readable .* using step 2 instead", caplog.text)
    assert (workdir / FOLDER / "3").exists()  # whoever only reads leaves it there


@reads_left_over
def test_a_run_sets_damaged_checkpoints_aside_and_clears_half_written_ones(workdir):
    half = workdir / FOLDER / "4.orbax-checkpoint-tmp"
    shutil.copytree(workdir / FOLDER / "3", half)
    for step in ("2", "3"):
        break_data(workdir / FOLDER / step)
    with Checkpoints(workdir) as checkpoints:
        state, config, _ = checkpoints.restore()
        assert int(state.nonfinite) == checkpoints.latest_step == 1
        checkpoints.save(state.replace(step=np.int32(2)), config, 10)
    assert sorted(path.name for path in (workdir / UNREADABLE).iterdir()) == ["2", "3"]
    assert not half.exists()
    with Checkpoints(workdir, keep=None) as checkpoints:
        assert checkpoints.latest_step == 2


def test_where_no_checkpoint_can_be_read_that_is_said_and_nothing_moved(workdir):
    half = workdir / FOLDER / "4.orbax-checkpoint-tmp"
    shutil.copytree(workdir / FOLDER / "3", half)
    for step in ("1", "2", "3"):
        empty_the_config(workdir / FOLDER / step)
    with pytest.raises(UserError, match=r"checkpoints/3: cannot be read .* older one") as error:
        load_checkpoint(workdir)
    assert "\n" not in str(error.value)
    # The half-written one may be another process's, still writing.
    names = sorted(path.name for path in (workdir / FOLDER).iterdir())
    assert names == ["1", "2", "3", half.name]
