"""The time axis that the curves of the page and of the PDF share."""

from dataclasses import dataclass

import numpy as np

from cardiacseg.segmented_cine import SegmentedCine


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """Where each phase lies, ``at`` ``[T]``, and in what: ms after the R wave where that is known, else its number."""

    at: np.ndarray
    label: str


def time_axis(segmented: SegmentedCine) -> TimeAxis:
    """Times of the cine's phases where there is one for each, else 1, 2, 3, ..."""
    frames = len(segmented.labels)
    times = segmented.cine.timing.frame_times_ms
    if times is not None and len(times) == frames:
        return TimeAxis(np.asarray(times, dtype=float), "time after the R wave (ms)")
    return TimeAxis(np.arange(1.0, frames + 1), "phase")


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``count`` of them."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=count, steps=[1, 2, 5, 10], integer=high - low >= count).tick_values(low, high)
    return [float(tick) for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]
