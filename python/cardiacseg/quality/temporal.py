"""Checks of the order of frames: whether they follow each other as in a cardiac cycle."""

import numpy as np

from cardiacseg.acquisition import Timing
from cardiacseg.quality.check import STRUCTURE_WORDS, Check, CheckContext, Found, NotChecked, and_more

FEWEST_FRAMES = 8
_TOO_FEW = NotChecked(f"the cine has fewer than {FEWEST_FRAMES} phases")


def es_time(context: CheckContext, check: Check) -> Found:
    """Time from ED to ES in % of the RR interval."""
    timing, found = context.cine.timing, context.measurements
    if context.frames < FEWEST_FRAMES:
        return _TOO_FEW
    if timing.frame_times_ms is None or timing.rr_interval_ms is None:
        return NotChecked("the times of the phases or the RR interval are unknown")
    since = timing.frame_times_ms[found.es_frame] - timing.frame_times_ms[found.ed_frame]
    percent = 100 * (since % timing.rr_interval_ms) / timing.rr_interval_ms
    if not check.outside(percent):
        return []
    low, high = check.threshold
    text = (
        f"ES (phase {found.es_frame + 1}) comes {percent:.1f} % of the RR interval after ED (phase "
        f"{found.ed_frame + 1}); expected {low:g} to {high:g} %."
    )
    return [check.flag(text, percent, found.es_frame)]


def curve_roughness(context: CheckContext, check: Check) -> Found:
    """Largest distance of a ventricle's volume from the cubic through two frames before and two after, in % of SV.

    SV is here the range of the curve.
    """
    curve = np.asarray(getattr(context.measurements, f"{check.structure}_ml"))
    if len(curve) < FEWEST_FRAMES:
        return _TOO_FEW
    if np.ptp(curve) == 0:
        return NotChecked("the volume is the same in all phases")
    values = 100 * _off_cubic(curve, _covers_the_cycle(context.cine.timing)) / np.ptp(curve)
    frame = int(np.nanargmax(values))
    if values[frame] <= check.threshold:
        return []
    name, more = STRUCTURE_WORDS[check.structure], int((values > check.threshold).sum()) - 1
    text = (
        f"The {name}'s volume in phase {frame + 1} is {values[frame]:.1f} % of the stroke volume off a smooth curve"
        f"{and_more(more)}; expected at most {check.threshold:g} %."
    )
    return [check.flag(text, values[frame], frame)]


def _off_cubic(curve: np.ndarray, closed: bool) -> np.ndarray:
    """``|v[t] - (4 (v[t-1] + v[t+1]) - v[t-2] - v[t+2]) / 6|``; NaN at the ends of a curve that is not closed."""
    near, far = (np.roll(curve, step) + np.roll(curve, -step) for step in (1, 2))
    off = np.abs(curve - (4 * near - far) / 6)
    if not closed:
        off[[0, 1, -2, -1]] = np.nan
    return off


def _covers_the_cycle(timing: Timing) -> bool:
    """Whether the first frame follows the last, as in a cine that was gated over the whole cardiac cycle."""
    times, rr_interval = timing.frame_times_ms, timing.rr_interval_ms
    if times is None or rr_interval is None:
        return False
    step = (times[-1] - times[0]) / (len(times) - 1)
    return abs(times[-1] - times[0] + step - rr_interval) < step


def flicker(context: CheckContext, check: Check) -> Found:
    """How often a structure appears in and leaves a slice in one cycle; twice is what the base's motion does."""
    if context.frames < FEWEST_FRAMES:
        return _TOO_FEW
    present = context.present(check.structure)
    switches = (present != np.roll(present, 1, axis=0)).sum(axis=0)
    index = int(switches.argmax())
    if switches[index] <= check.threshold:
        return []
    more = int((switches > check.threshold).sum()) - 1
    text = (
        f"In slice {index + 1} the {STRUCTURE_WORDS[check.structure]} comes or goes {switches[index]} times in a "
        f"cardiac cycle{and_more(more)}; expected at most {check.threshold:g} times."
    )
    return [check.flag(text, switches[index], slice=index)]
