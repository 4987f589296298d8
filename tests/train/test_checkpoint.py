import jax
import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.train.checkpoint import FOLDER, Checkpoints, load_checkpoint
from radepth_jax.train.state import init_state


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


def test_a_damaged_checkpoint_is_named(micro_config, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(init_state(micro_config, 10), micro_config, 10)
        checkpoints.wait()
    for path in (tmp_path / FOLDER / "0").rglob("*"):
        if path.is_file() and path.stat().st_size > 2000:
            path.write_bytes(b"broken")
    with pytest.raises(UserError, match=r"checkpoints/0: cannot be read"):
        load_checkpoint(tmp_path)
