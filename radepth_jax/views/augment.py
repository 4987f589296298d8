"""What the depth network sees of the views: images changed at random, by functions in a table.

An augmentation is a function `(key, image [H, W, 3], *, options) -> image`, an entry in
`AUGMENTATIONS`, and its probability and options in `config.views.augmentations`
(docs/extending.md). It changes nothing that the losses compare.
"""

import inspect
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.settings import check_number
from radepth_jax.views.jitter import colour_jitter
from radepth_jax.views.keys import fold_name
from radepth_jax.views.options import ViewOptions
from radepth_jax.views.view import Views

Augmentation = Callable[..., Array]


def network_images(key: Array, views: Views, *, options: ViewOptions) -> Float[Array, "V H W 3"]:
    """What the depth network sees of each view's target.

    Each augmentation is drawn by itself, and anew for every view that has it. Colour jitter of the
    middle view has the published key, whatever else there is.

    Args:
      key: PRNG key.
      views: of one sample.
      options: see `ViewOptions`.

    Returns:
      [V, H, W, 3] in [0, 1].

    Raises:
      UserError: see `check_augmentations`.
    """
    images = views.images[:, 0]
    chosen = _chosen(options)
    for index, view in enumerate(views.names):
        if options.entries[view].augmented:
            of_view = key if view == "middle" else fold_name(key, view)
            for name, (probability, augment) in chosen.items():
                own = of_view if name == "colour_jitter" else fold_name(of_view, name)
                chance_key, augment_key = jax.random.split(own)
                happens = jax.random.bernoulli(chance_key, probability)
                changed = augment(augment_key, images[index])
                images = images.at[index].set(jnp.where(happens, changed, images[index]))
    return images


def cut_out(key: Array, image: Float[Array, "H W 3"], *, share: float) -> Float[Array, "H W 3"]:
    """A rectangle of the image takes the image's mean colour (DeVries and Taylor, Cutout, 2017).

    Its centre may be anywhere, so that a part of it may be beyond the border.

    Args:
      key: PRNG key.
      image: [H, W, 3] in [0, 1].
      share: the rectangle's height and width, as a share of the image's, from 0 to 1.

    Returns:
      [H, W, 3] in [0, 1].

    Raises:
      UserError: an option is out of its range.
    """
    check_number("share", share, 0, 1)
    size = image.shape[:2]
    centre = jax.random.uniform(key, (2,)) * jnp.array(size)
    rows, columns = (
        abs(jnp.arange(n) + 0.5 - centre[i]) < share * n / 2 for i, n in enumerate(size)
    )
    mean = jnp.mean(image, axis=(0, 1), keepdims=True)
    return jnp.where(rows[:, None, None] & columns[None, :, None], mean, image)


def colour_cast(
    key: Array, image: Float[Array, "H W 3"], *, strength: float
) -> Float[Array, "H W 3"]:
    """Red, green and blue are brighter or darker each by itself, as of a wrong white balance.

    Args:
      key: PRNG key.
      image: [H, W, 3] in [0, 1].
      strength: each channel's factor is drawn from 1 +- this, which is from 0 to 1.

    Returns:
      [H, W, 3] in [0, 1].

    Raises:
      UserError: an option is out of its range.
    """
    check_number("strength", strength, 0, 1)
    change = strength * jax.random.uniform(key, (1, 1, 3), minval=-1.0)
    return jnp.clip(image * (1 + change), 0, 1)


AUGMENTATIONS: dict[str, Augmentation] = {
    "colour_jitter": colour_jitter,
    "colour_cast": colour_cast,
    "cut_out": cut_out,
}


def check_augmentations(options: ViewOptions) -> None:
    """Try every augmentation on shapes, without computing.

    Raises:
      UserError: an augmentation is not in `AUGMENTATIONS`, does not take an option or its value, or
        does not give an image of the same shape and type.
    """
    image = jax.ShapeDtypeStruct((*options.size, 3), jnp.float32)
    for name, (_, augment) in _chosen(options).items():
        where = f"config.views.augmentations.{name}"
        try:
            found = jax.eval_shape(augment, jax.eval_shape(jax.random.key, 0), image)
        except UserError as error:  # which starts with the option's name
            raise UserError(f"{where}.{error}") from None
        shape = getattr(found, "shape", None), getattr(found, "dtype", None)
        if shape != (image.shape, image.dtype):
            raise UserError(
                f"{where}: expected a function (key, image [H, W, 3]) -> image of the same shape "
                f"and type, got {found} of a float32 {image.shape}"
            )


def _chosen(options: ViewOptions) -> dict[str, tuple[float, Augmentation]]:
    """The positive probabilities, and the functions with their options, in the table's order."""
    chosen = {}
    for name, given in options.augmentations.items():
        where, own = f"config.views.augmentations.{name}", dict(given)
        probability = own.pop("probability")
        if name not in AUGMENTATIONS:
            raise UserError(
                f"{where}: no such augmentation; expected one of {', '.join(AUGMENTATIONS)}, or "
                "one that your config file adds to views.AUGMENTATIONS"
            )
        signature = inspect.signature(AUGMENTATIONS[name])
        try:
            signature.bind("key", "image", **own)
        except TypeError as error:
            taken = ", ".join(["probability", *list(signature.parameters)[2:]])
            raise UserError(f"{where}: {error}; it takes {taken}") from None
        if probability:
            chosen[name] = probability, partial(AUGMENTATIONS[name], **own)
    return {name: chosen[name] for name in AUGMENTATIONS if name in chosen}
