"""Real images for encoders whose weights come without BatchNorm statistics."""

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.data import TrainingSource
from radepth_jax.inference.disparity import Resolution, network_input

NUMBER = 16


def calibration_images(source: TrainingSource, resolution: Resolution) -> dict[str, jax.Array]:
    """The networks' inputs for samples that are spread evenly over the training split.

    The same data gives the same images in every process. They are resized as in evaluation, and not
    augmented.

    Args:
        source: training samples. At most `NUMBER` of them are read.
        resolution: (width, height) of the networks' inputs.

    Returns:
        The inputs of each network, float32 in [0, 1]. `depth` [N, H, W, 3] are targets, and `pose`
        [N, H, W, 6] are targets and their first source in temporal order. A source of the opposite
        camera comes second.

    Raises:
        UserError: A sample cannot be read.
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
