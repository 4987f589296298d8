"""Are the borders of objects where they belong? Precision, recall and F1 over pairs of pixels.

Bochkovskii et al., "Depth Pro: Sharp Monocular Metric Depth in Less Than a Second" (2024, ICLR
2025), section 3.2 and equation 3. Pixel i occludes its neighbour j at a threshold t if
`d(j) / d(i) > 1 + t / 100`. The truth and the prediction each have a set of such ordered pairs,
over the four neighbours of every pixel. Precision, recall and F1 compare these two sets. A pair has
to be found at its own place and in its own direction, so an edge that is one pixel off counts
twice: it is missing, and it is wrong. The ratio does not depend on the scale of either depth map.

Figures are averaged over thresholds from t = 5 to 25. The equation does not fix their number and
their weights. As in the authors' program, there are ten, and each has the weight `1 + t / 100`. For
precision and recall, that program takes the mean over the four directions, and a direction without
an edge counts as 0. Here the pairs of all directions are summed, as in the equation, so that the
truth has an F1 of 1. So published figures and these are close, but not the same.
"""

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.evaluation.metrics import valid_mask
from radepth_jax.runs.protocol import Protocol

EDGE_METRICS = ("edge_precision", "edge_recall", "edge_f1", "thin_recall")
RATIOS = tuple(1 + np.linspace(5, 25, 10) / 100)
# A pole, a post or a distant trunk: the largest width, in pixels of the ground truth.
THIN = 4
# The share of known pixels that need a known neighbour to their right, and one below. In projected
# scans of KITTI it is 0.08 and 0.004; in rendered frames both are over 0.99.
DENSE = 0.8


def edge_metrics(
    predicted: jax.Array, truth: jax.Array, size: jax.Array, protocol: Protocol
) -> dict[str, jax.Array]:
    """The edge figures of one image.

    A pair of neighbours counts if the truth of both is known, in the protocol's range and inside
    its crop. Anything else is neither found nor missed, and what is predicted there does not
    matter. The sky of rendered streets has a depth of 0, which means unknown. So a border between
    an object and the sky does not count, and neither does one with what is beyond the range.

    A thin structure is a run of at most `THIN` pixels along a row that is nearer than the pixels on
    both of its sides, by the ratio. `thin_recall` is the recall of these two edges. Recall alone
    would reward a blurred edge, which exceeds the ratio over several pixels. The paper has the same
    difficulty with masks, and the same answer: of the edges that follow one another along a row,
    only the steepest one counts. Here this holds for the edges of the truth, too.

    Args:
        predicted: depth [H, W] in any unit, at the size of the ground truth. It has to be positive
            and finite wherever the truth counts. How it was resized to this size matters, because
            interpolation blurs edges.
        truth: depth [H, W] in metres. 0 means unknown.
        size: int32 [2], the true (h, w) inside the canvas.
        protocol: the range of depth and the crop.

    Returns:
        Arrays [] by name. `EDGE_METRICS` are float32 in [0, 1], and NaN if the truth is sparse or
        has no such edge at any threshold. A threshold at which the truth has none is left out. So
        which images and thresholds count depends on the truth alone. `dense` is bool: whether the
        truth is not sparse.
    """
    mask = valid_mask(truth, size, protocol)
    across, down = mask[:, :-1] & mask[:, 1:], mask[:-1] & mask[1:]
    dense = _is_dense(mask, across, down, size)
    true_depth, own_depth = jnp.where(mask, truth, 1.0), jnp.where(mask, predicted, 1.0)

    def count(ratio: jax.Array) -> dict[str, jax.Array]:
        """The numbers of pairs at one threshold, int32 []."""
        true = _edges(true_depth, across, ratio), _edges(true_depth.T, down.T, ratio)
        found = _edges(own_depth, across, ratio), _edges(own_depth.T, down.T, ratio)
        thin = _thin(_steepest(true_depth, true[0]), across)
        sharp = _steepest(own_depth, found[0])
        return {
            "true": _total(true),
            "found": _total(found),
            "both": _total(jax.tree.map(jnp.logical_and, true, found)),
            "thin": _total(thin),
            "thin_found": _total(jax.tree.map(jnp.logical_and, thin, sharp)),
        }

    ratios = jnp.asarray(RATIOS, jnp.float32)
    # One threshold after the other, because the maps of all of them would be large.
    pairs = jax.lax.map(count, ratios)

    def mean(part: jax.Array, whole: jax.Array, exists: jax.Array) -> jax.Array:
        """The weighted mean over thresholds of part / whole, which is 0 where both are."""
        weights = jnp.where(exists, ratios, 0.0)
        values = (weights * part / jnp.maximum(whole, 1)).sum() / weights.sum()
        return jnp.where(dense & exists.any(), values, jnp.nan)

    exists, thin_exists = pairs["true"] > 0, pairs["thin"] > 0
    return {
        "edge_precision": mean(pairs["both"], pairs["found"], exists),
        "edge_recall": mean(pairs["both"], pairs["true"], exists),
        "edge_f1": mean(2 * pairs["both"], pairs["found"] + pairs["true"], exists),
        "thin_recall": mean(pairs["thin_found"], pairs["thin"], thin_exists),
        "dense": dense,
    }


def _is_dense(mask: jax.Array, across: jax.Array, down: jax.Array, size: jax.Array) -> jax.Array:
    """Whether most known pixels have known neighbours, bool []. Those at the border need none."""
    rows, columns = jnp.arange(mask.shape[0])[:, None], jnp.arange(mask.shape[1])[None]
    beside = (mask & (columns < size[1] - 1)).sum()
    above = (mask & (rows < size[0] - 1)).sum()
    return (across.sum() >= DENSE * beside) & (down.sum() >= DENSE * above)


def _edges(depth: jax.Array, pairs: jax.Array, ratio: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The pairs along rows whose depth falls and those whose depth rises, bool [H, W - 1] each.

    Args:
        depth: [H, W], positive.
        pairs: bool [H, W - 1], which pairs of a pixel and the one to its right count.
        ratio: [] the least ratio of the farther to the nearer depth, which an edge exceeds.
    """
    left, right = depth[:, :-1], depth[:, 1:]
    return pairs & (left / right > ratio), pairs & (right / left > ratio)


def _thin(edges: tuple[jax.Array, jax.Array], pairs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Those of the edges that begin and end a run of at most `THIN` nearer pixels.

    Args:
        edges: falling and rising, bool [H, W - 1] each.
        pairs: bool [H, W - 1], which pairs are known.
    """
    falling, rising = edges
    number = pairs.shape[1]
    plain = pairs & ~falling & ~rising
    begins, ends = jnp.zeros_like(falling), jnp.zeros_like(rising)
    for width in range(1, min(THIN, number - 1) + 1):
        run = falling[:, :-width] & rising[:, width:]
        for inner in range(1, width):
            run &= plain[:, inner : number - width + inner]
        begins |= jnp.pad(run, ((0, 0), (0, width)))
        ends |= jnp.pad(run, ((0, 0), (width, 0)))
    return begins, ends


def _steepest(depth: jax.Array, edges: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The steepest of the edges that follow one another along a row. Equal ones all stay.

    Args:
        depth: [H, W], positive.
        edges: falling and rising, bool [H, W - 1] each.
    """
    left, right = depth[:, :-1], depth[:, 1:]
    return _maxima(left / right, edges[0]), _maxima(right / left, edges[1])


def _maxima(values: jax.Array, chosen: jax.Array) -> jax.Array:
    """Where the largest value of each run of chosen ones along a row is, bool as `chosen`."""
    runs = jnp.cumsum(~chosen, axis=1)  # one number for each run
    values = jnp.where(chosen, values, 0.0)

    def largest(values: jax.Array, runs: jax.Array) -> jax.Array:
        return jax.ops.segment_max(values, runs, num_segments=values.shape[0] + 1)[runs]

    return chosen & (values == jax.vmap(largest)(values, runs))


def _total(edges: object) -> jax.Array:
    """The number of edges in all of the arrays, int32 []."""
    return sum((one.sum() for one in jax.tree.leaves(edges)), start=jnp.int32(0))
