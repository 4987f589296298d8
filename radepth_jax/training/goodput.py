"""What checkpoints cost, and how often they are worth writing."""

import math
import time
from collections.abc import Callable

SHARE = 0.01  # the share of the time that checkpoints may take before a run reports it


class SaveClock:
    """Measures how long training waits for checkpoints, and reports once if that is long.

    Args:
        say: prints a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        # The last step and the time at which its checkpoint was handed over.
        self._last: tuple[int, float] | None = None
        self._said = False

    def time(self, step: int, save: Callable[[], None]) -> None:
        """Save the state after a step."""
        begun = time.perf_counter()
        save()
        ended = time.perf_counter()
        # The first save compiles, and so do the steps before it.
        if self._last is not None and step > self._last[0] and not self._said:
            a_step = (begun - self._last[1]) / (step - self._last[0])
            share = (ended - begun) / (ended - self._last[1])
            if share > SHARE:
                steps = interval(ended - begun, a_step)
                self._say(
                    f"checkpoints hold training up for {ended - begun:.2f} s every "
                    f"{step - self._last[0]} steps, {share:.0%} of the time; "
                    f"config.train.checkpoint_every={steps} would cost {SHARE:.0%}"
                )
                self._said = True
        self._last = (step, ended)


def interval(seconds_a_save: float, seconds_a_step: float, share: float = SHARE) -> int:
    """The number of steps between checkpoints at which they take this share of the time."""
    return max(1, math.ceil(seconds_a_save * (1 - share) / share / seconds_a_step))


def best_interval(seconds_a_save: float, seconds_between_faults: float) -> float:
    """The seconds between checkpoints that lose the least time to saving and repeated steps.

    Young, A First Order Approximation to the Optimum Checkpoint Interval, CACM 1974: half an
    interval is lost to a fault on average, and a save is lost to each interval.
    """
    return math.sqrt(2 * seconds_a_save * seconds_between_faults)
