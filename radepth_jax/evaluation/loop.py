"""The loop of every evaluation, from a method and a split to the rows of a table."""

from collections.abc import Collection, Iterator, Sequence, Set

import jax
import numpy as np

from radepth_jax.data import DevicePrefetch, EvaluationSource
from radepth_jax.evaluation.method import Compared, Method
from radepth_jax.evaluation.row import Row, make_row
from radepth_jax.processes import gather

# The entries of a sample that a batch has.
FIELDS = ("image", "size", "intrinsics", "depth", "depth_size")


def evaluate_methods(
    methods: Sequence[Method],
    source: EvaluationSource,
    *,
    show: Collection[int] = (),
    show_worst: int = 0,
) -> list[Row]:
    """The rows of all methods, one method after the other.

    Args:
        methods: what is evaluated.
        source: images. Those without ground truth in range are left out.
        show: the images whose predicted depth is kept in the rows.
        show_worst: how many other images' predicted depth is kept, from all methods. They are the
            images at which the first method is worst.

    Raises:
        UserError: the same as of `evaluate_method`.
    """
    rows: list[Row] = []
    for method in methods:
        if not method.pictured:
            rows += evaluate_method(method, source)
            continue
        own = evaluate_method(method, source, show, show_worst=show_worst)
        show, show_worst = list(own[0].depths), 0
        rows += own
    return rows


def evaluate_method(
    method: Method, source: EvaluationSource, show: Collection[int] = (), *, show_worst: int = 0
) -> list[Row]:
    """A method's rows. Metrics are computed for each image and then averaged.

    Each image is decoded once. In a run of P processes all of them call this function. Each
    evaluates every P-th image, and all get the same rows, except that the depths of `show` are only
    those of a process's own images.

    Args:
        method: what is evaluated.
        source: images. Those without ground truth in range are left out.
        show: the images whose predicted depth is kept in the rows.
        show_worst: how many other images' predicted depth is kept. They are the images of the
            largest AbsRel, averaged over the method's steps.

    Returns:
        For each of the method's steps, a Row for each of its scalings.

    Raises:
        UnusablePredictionError: A prediction cannot be judged, as `make_row` says.
        UserError: No image has ground truth.
    """
    processes = jax.process_count()
    # Every process has the same number. Surplus images are dropped when the results are gathered.
    share = range(jax.process_index(), -(-len(source) // processes) * processes, processes)
    indices = [i % len(source) for i in share]
    batch_size = -(-min(method.batch_size, len(indices)) // method.devices) * method.devices
    steps = method.steps()
    results = [_Result(method.scalings) for _ in steps]

    names: list[str] = []
    worst: dict[int, float] = {}  # the `show_worst` so far, and their AbsRel
    read = batches(source, indices, batch_size)
    with DevicePrefetch(read, lambda item: (method.place(item[0]), *item)) as placed:
        for batch, on_host, real in placed:
            here = indices[len(names) : len(names) + len(real)]
            found = []
            for step, result in zip(steps, results, strict=True):
                found.append(step.run(here, batch))
                result.add(found[-1], len(real), timed=bool(names))  # the first batch compiles
            errors = np.mean([result.latest_abs_rel() for result in results], axis=0)
            worst |= {
                i: float(error)
                for i, error in zip(here, errors, strict=True)
                if np.isfinite(error) and i not in show
            }
            worst = dict(sorted(worst.items(), key=lambda item: -item[1])[:show_worst])
            kept = {*show, *worst}
            for result, one in zip(results, found, strict=True):
                for position, i in enumerate(here):
                    if i in kept:
                        h, w = on_host["depth_size"][position]
                        result.depths[i] = one.depth(position)[:h, :w]
                result.drop_all_but(kept)
            names += real
            width = on_host["image"].shape[2]
    if processes > 1:
        names = _gather(np.array(names, "U256"), len(source)).tolist()
    return [
        make_row(
            method.name,
            step.resolution,
            scaling,
            names,
            {k: _gather(v, len(source)) for k, v in result.per_image(scaling).items()},
            images_per_second=result.timed / result.seconds if result.timed else float("nan"),
            width=width if step.own_size else None,
            depths=result.depths,
        )
        for step, result in zip(steps, results, strict=True)
        for scaling in method.scalings
    ]


def batches(
    source: EvaluationSource, indices: Sequence[int], batch_size: int
) -> Iterator[tuple[dict[str, np.ndarray], list[str]]]:
    """Batches of one shape. The last one is filled up by repeating its last image.

    Yields:
        The batch, and the names of its images without the repetitions.
    """
    for start in range(0, len(indices), batch_size):
        real = [source[i] for i in indices[start : start + batch_size]]
        padded = real + [real[-1]] * (batch_size - len(real))
        yield (
            {k: np.stack([s[k] for s in padded]) for k in FIELDS},
            [s["name"] for s in real],
        )


def _gather(mine: np.ndarray, total: int) -> np.ndarray:
    """The values of all images, from the shares of all processes."""
    if jax.process_count() == 1:
        return mine
    everyone = gather(mine.view(np.uint8).reshape(len(mine), -1))  # [processes, share, bytes]
    in_order = np.ascontiguousarray(everyone.swapaxes(0, 1)).reshape(-1, everyone.shape[2])
    return in_order.view(mine.dtype)[:total, 0]


class _Result:
    """The results that were collected on the host at one resolution."""

    def __init__(self, scalings: Sequence[str]):
        self.parts: dict[str, list[dict[str, np.ndarray]]] = {s: [] for s in scalings}
        self.depths: dict[int, np.ndarray] = {}
        self.seconds, self.timed = 0.0, 0

    def add(self, found: Compared, real: int, *, timed: bool) -> None:
        """Add a step's metrics of its first `real` images, and its time where that counts."""
        for scaling, values in found.metrics.items():
            self.parts[scaling].append({k: v[:real] for k, v in values.items()})
        if timed:
            self.seconds += found.seconds
            self.timed += real

    def drop_all_but(self, images: Set[int]) -> None:
        """Forget the depths of other images."""
        self.depths = {i: depth for i, depth in self.depths.items() if i in images}

    def latest_abs_rel(self) -> np.ndarray:
        """AbsRel of the images added last, by the first scaling. NaN without ground truth."""
        latest = next(iter(self.parts.values()))[-1]
        return np.where(latest["pixels"] > 0, latest["abs_rel"], np.nan)

    def per_image(self, scaling: str) -> dict[str, np.ndarray]:
        """The metrics of all images, by name [N]."""
        parts = self.parts[scaling]
        return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
