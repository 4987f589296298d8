"""Real images for encoders whose weights come without BatchNorm statistics."""

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.data import TrainingSource
from radepth_jax.inference.disparity import Resolution, network_input

NUMBER = 16


def calibration_images(source: TrainingSource, resolution: Resolution) -> dict[str, jax.Array]:
    """What the networks see of samples spread evenly over the training split.

    The same images for the same data, in every process; resized as in evaluation, not augmented.

    Args:
        source: of training samples; at most `NUMBER` of them are read.
        resolution: (width, height) of the networks' inputs.

    Returns:
        By network, float32 in [0, 1]: `depth` [N, H, W, 3] targets, `pose` [N, H, W, 6] targets and
        their first source in temporal order (a source of the opposite camera comes second).

    Raises:
        UserError: a sample cannot be read.
    """
    number = min(NUMBER, len(source))
    samples = [source[i * len(source) // number] for i in range(number)]
    resize = jax.jit(lambda frame, size: network_input(frame, size, resolution))
    frames = np.stack(
        [[resize(frame, s["size"]) for frame in s["frames"][:2]] for s in samples]
    )  # [N, 2, H, W, 3]
    offset = source.frame_offsets[1]
    order = (1, 0) if isinstance(offset, int) and offset < 0 else (0, 1)
    pairs = np.concatenate([frames[:, i] for i in order], axis=-1)
    return {"depth": jnp.asarray(frames[:, 0]), "pose": jnp.asarray(pairs)}
