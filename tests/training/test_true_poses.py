"""Training with the data set's own poses, a diagnosis."""

import jax
import numpy as np

from radepth_jax.training.loop import train


def test_with_true_poses_the_pose_network_stays_as_it_was(micro_config, tmp_path):
    micro_config.pose.true_scale = 0.03
    micro_config.train.steps = 1
    micro_config.views.names = ("middle",)
    micro_config.loss.weights.consistency = 0.0
    state = train(micro_config, tmp_path / "run")
    from radepth_jax.runs.state import init_state

    start = init_state(micro_config, 1)
    changed = {
        name: max(
            float(np.abs(a - b).max())
            for a, b in zip(
                jax.tree.leaves(state.params[name]),
                jax.tree.leaves(start.params[name]),
                strict=True,
            )
        )
        for name in ("depth", "pose")
    }
    assert changed["pose"] == 0
    assert changed["depth"] > 0
