"""Checks of plausibility: are the measurements those of a heart, and do the frames follow each other as in a cycle?"""

import math

import numpy as np

from cardiacseg.acquisition import Timing
from cardiacseg.quality.check import STRUCTURE_WORDS, Check, CheckContext, Found, NotChecked, and_more

ONE_PHASE = NotChecked("there is no ES: the cine has one phase")
# A larger difference of stroke volumes is hardly possible; a difference of fewer ml is common between two readers.
UNLIKELY_PERCENT, NOTABLE_ML = 70, 30


def mass_difference(context: CheckContext, check: Check) -> Found:
    """``|LVM(ED) - LVM(ES)|`` over their mean, in %: myocardium keeps its mass."""
    ed, es = context.measurements.lv_mass_g, context.measurements.lv_mass_es_g
    if es is None:
        return ONE_PHASE
    difference = _relative_difference(ed, es)
    if difference is None:
        return NotChecked("there is no myocardium at ED and ES")
    if difference <= check.threshold:
        return []
    text = (
        f"The LV's mass is {ed:.0f} g at ED and {es:.0f} g at ES, {difference:.1f} % apart; "
        f"expected at most {check.threshold:g} %."
    )
    return [check.flag(text, difference)]


def stroke_volume_difference(context: CheckContext, check: Check) -> Found:
    """``|LVSV - RVSV|`` over their mean, in %: without a leaking valve or a shunt both pump the same."""
    difference = _stroke_volume_difference(context)
    if isinstance(difference, NotChecked):
        return difference
    if difference <= check.threshold:
        return []
    text = (
        f"{_stroke_volumes(context)}, {difference:.1f} % apart; expected at most {check.threshold:g} % (a leaking "
        "valve or a shunt makes them differ)."
    )
    return [check.flag(text, difference)]


def stroke_volumes_apart(context: CheckContext, check: Check) -> Found:
    """The same difference if it is smaller but still more than readers differ by, in % and in ml."""
    difference = _stroke_volume_difference(context)
    if isinstance(difference, NotChecked):
        return difference
    apart_ml = abs(context.measurements.lv_sv_ml - context.measurements.rv_sv_ml)
    if not check.threshold < difference <= UNLIKELY_PERCENT or apart_ml <= NOTABLE_ML:
        return []
    text = (
        f"{_stroke_volumes(context)}, {difference:.1f} % apart; more than {check.threshold:g} % is often seen with a "
        "leaking valve, a shunt, or slices at the base that count for one ventricle alone: look at the base."
    )
    return [check.flag(text, difference)]


def _stroke_volume_difference(context: CheckContext) -> float | NotChecked:
    """Difference in % of the mean."""
    left, right = context.measurements.lv_sv_ml, context.measurements.rv_sv_ml
    if left is None or right is None:
        return ONE_PHASE
    difference = _relative_difference(left, right)
    return NotChecked("there is no stroke volume") if difference is None else difference


def _stroke_volumes(context: CheckContext) -> str:
    left, right = context.measurements.lv_sv_ml, context.measurements.rv_sv_ml
    return f"The LV's stroke volume is {left:.0f} ml and the RV's {right:.0f} ml"


def lv_beyond_rv(context: CheckContext, check: Check) -> Found:
    """The LV's volume at ED, in % of all of it, in the slices that count and lie beyond the RV at the base.

    At ES the base of the RV has moved further than that of the LV: 7 of 10 experts' labels of ACDC have such slices.
    """
    found = context.measurements
    ed, present = found.ed_frame, np.flatnonzero(context.present("rv")[found.ed_frame])
    volumes_ml = (
        context.areas("lv")[ed] * found.included[ed, :, 2] * context.slice_weights * context.cine.spacing[0] / 1000
    )
    if found.base_first is None or not len(present) or not volumes_ml.any():
        return NotChecked("the base, or one of the ventricles, is not labelled at ED")
    indices = np.arange(context.slices)
    beyond = np.where(indices < present[0] if found.base_first else indices > present[-1], volumes_ml, 0)
    percent = 100 * beyond.sum() / volumes_ml.sum()
    if percent <= check.threshold:
        return []
    slices = ", ".join(str(index + 1) for index in np.flatnonzero(beyond))
    text = (
        f"At ED the LV reaches beyond the RV at the base (slice {slices}), by {beyond.sum():.0f} ml or {percent:.1f} % "
        f"of its volume; expected at most {check.threshold:g} %: look whether the RV is missing or the LV goes too far."
    )
    return [check.flag(text, percent, ed, int(beyond.argmax()))]


def _relative_difference(first: float, second: float) -> float | None:
    """Difference in % of the mean; ``None`` if both are 0, and 200 if the mean is not positive."""
    if first == second == 0:
        return None
    mean = (first + second) / 2
    return min(200.0, 100 * abs(first - second) / mean) if mean > 0 else 200.0


def ejection_fraction(context: CheckContext, check: Check) -> Found:
    """A ventricle's EF outside the range."""
    value = getattr(context.measurements, f"{check.structure}_ef_percent")
    if value is None:
        return NotChecked("there is no ejection fraction: the cine has one phase, or the ventricle is not labelled")
    return _range_flag(check, value, f"{check.structure.upper()}EF is {value:.1f} %", "%")


def end_diastolic_volume(context: CheckContext, check: Check) -> Found:
    """A ventricle's EDV outside the range."""
    value = getattr(context.measurements, f"{check.structure}_edv_ml")
    if value is None:
        return NotChecked("there is no ED: the cine has one phase")
    return _range_flag(check, value, f"{check.structure.upper()}EDV is {value:.1f} ml", "ml")


def mass_to_volume(context: CheckContext, check: Check) -> Found:
    """LV mass over LV volume at ED, which no wrong spacing changes: a wall much too thin or too thick."""
    found = context.measurements
    volume = found.lv_ml[found.ed_frame]
    if volume <= 0:
        return NotChecked("the LV is not labelled at ED")
    value = found.lv_mass_g / volume
    return _range_flag(check, value, f"The LV's mass over its volume at ED is {value:.2f} g/ml", "g/ml")


def lv_length(context: CheckContext, check: Check) -> Found:
    """Slices with LV at ED times their part of the axis: a wrong slice spacing, or slices that are missing."""
    present = context.present("lv")[context.measurements.ed_frame]
    if not present.any():
        return NotChecked("the LV is not labelled at ED")
    slices, value = int(present.sum()), context.cine.spacing[0] * float(context.slice_weights[present].sum())
    what = f"The LV is {value:.0f} mm long at ED ({slices} slices of {value / slices:.1f} mm)"
    return _range_flag(check, value, what, "mm")


def lv_diameter(context: CheckContext, check: Check) -> Found:
    """Diameter of the circle with the area of LV and wall, in the slice with most of them at ED: a wrong pixel size."""
    ed = context.measurements.ed_frame
    areas = context.areas("myo")[ed] + context.areas("lv")[ed]
    if not areas.any():
        return NotChecked("the LV is not labelled at ED")
    value = 2 * math.sqrt(areas.max() / math.pi)
    return _range_flag(check, value, f"The LV with its wall is {value:.0f} mm wide at ED", "mm")


def _range_flag(check: Check, value: float, what: str, unit: str) -> Found:
    low, high = check.threshold
    return [check.flag(f"{what}; expected {low:g} to {high:g} {unit}.", value)] if check.outside(value) else []


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
    """Number of times that a structure enters or leaves a slice in one cycle; the motion of the base causes two."""
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
