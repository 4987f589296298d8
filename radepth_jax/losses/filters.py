"""Filters by name: what is done to the images before the losses compare them."""

from collections.abc import Callable

from jaxtyping import Array, Float

# Each is a function of one image [H, W, 3], and you may add your own. The networks and the
# smoothness see the images without a filter.
FILTERS: dict[str, Callable[[Float[Array, "H W 3"]], Float[Array, "H W 3"]]] = {
    "none": lambda image: image,
}
