"""What is done to the images before they are compared, by name."""

from collections.abc import Callable

from jaxtyping import Array, Float

# Each of one image [H, W, 3]; add your own. The networks and the smoothness see the images as they
# are.
FILTERS: dict[str, Callable[[Float[Array, "H W 3"]], Float[Array, "H W 3"]]] = {
    "none": lambda image: image,
}
