"""Checks of the measurements: whether they are plausible for a heart."""

import math

import numpy as np

from cardiacseg.quality.check import Check, CheckContext, Found, NotChecked

ONE_PHASE = NotChecked("there is no ES: the cine has one phase")
# Stroke volumes that are further apart are hardly a heart's; less than so many ml, two readers differ by as much.
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
    """In % of the mean."""
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
    """In % of the mean; ``None`` if both are 0, and 200 if the mean is not positive."""
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
