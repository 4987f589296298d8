"""Confidence intervals of averages over images."""

import numpy as np


def bootstrap_intervals(
    values: np.ndarray, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> np.ndarray:
    """Percentile intervals of the mean over images, by resampling the images.

    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Args:
        values: [N, M], the M figures of N images.
        level: the share of the resampled means that an interval holds, in (0, 1).
        resamples: how often N images are drawn with replacement. All M figures share the draws.
        seed: the seed of the draws.

    Returns:
        [2, M], the lower and the upper bounds.
    """
    number = len(values)
    draws = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), resamples)
    means = draws @ np.asarray(values, np.float64) / number
    tail = (1 - level) / 2
    return np.quantile(means, (tail, 1 - tail), axis=0)
