"""Whether the measurements can be a heart's."""

import math

import numpy as np

from cardiacseg.quality.check import Check, Found, NotChecked
from cardiacseg.quality.evidence import Evidence

ONE_PHASE = NotChecked("there is no ES: the cine has one phase")
# Stroke volumes that are further apart are hardly a heart's; less than so many ml, two readers differ by as much.
UNLIKELY_PERCENT, NOTABLE_ML = 70, 30


def mass_difference(evidence: Evidence, check: Check) -> Found:
    """``|LVM(ED) - LVM(ES)|`` over their mean, in %: myocardium keeps its mass."""
    ed, es = evidence.measurements.lv_mass_g, evidence.measurements.lv_mass_es_g
    if es is None:
        return ONE_PHASE
    difference = _relative_difference(ed, es)
    if difference is None:
        return NotChecked("there is no myocardium at ED and ES")
    if difference <= check.threshold:
        return []
    text = (
        f"The LV's mass is {ed:.0f} g at ED and {es:.0f} g at ES, {difference:.1f} % apart; "
        f"wanted at most {check.threshold:g} %."
    )
    return [check.flag(text, difference)]


def stroke_volume_difference(evidence: Evidence, check: Check) -> Found:
    """``|LVSV - RVSV|`` over their mean, in %: without a leaking valve or a shunt both pump the same."""
    difference = _stroke_volume_difference(evidence)
    if isinstance(difference, NotChecked):
        return difference
    if difference <= check.threshold:
        return []
    text = (
        f"{_stroke_volumes(evidence)}, {difference:.1f} % apart; wanted at most {check.threshold:g} % (a leaking valve "
        "or a shunt makes them differ)."
    )
    return [check.flag(text, difference)]


def stroke_volumes_apart(evidence: Evidence, check: Check) -> Found:
    """The same difference where it is smaller but still more than readers differ by, in % and in ml."""
    difference = _stroke_volume_difference(evidence)
    if isinstance(difference, NotChecked):
        return difference
    apart_ml = abs(evidence.measurements.lv_sv_ml - evidence.measurements.rv_sv_ml)
    if not check.threshold < difference <= UNLIKELY_PERCENT or apart_ml <= NOTABLE_ML:
        return []
    text = (
        f"{_stroke_volumes(evidence)}, {difference:.1f} % apart; more than {check.threshold:g} % is often seen with a "
        "leaking valve, a shunt, or slices at the base that count for one ventricle alone: look at the base."
    )
    return [check.flag(text, difference)]


def _stroke_volume_difference(evidence: Evidence) -> float | NotChecked:
    """In % of the mean."""
    left, right = evidence.measurements.lv_sv_ml, evidence.measurements.rv_sv_ml
    if left is None or right is None:
        return ONE_PHASE
    difference = _relative_difference(left, right)
    return NotChecked("there is no stroke volume") if difference is None else difference


def _stroke_volumes(evidence: Evidence) -> str:
    left, right = evidence.measurements.lv_sv_ml, evidence.measurements.rv_sv_ml
    return f"The LV's stroke volume is {left:.0f} ml and the RV's {right:.0f} ml"


def lv_beyond_rv(evidence: Evidence, check: Check) -> Found:
    """The LV's volume at ED, in % of all of it, in the slices that count and lie beyond the RV at the base.

    At ES the base of the RV has moved further than that of the LV: 7 of 10 experts' labels of ACDC have such slices.
    """
    found = evidence.measurements
    ed, present = found.ed_frame, np.flatnonzero(evidence.present("rv")[found.ed_frame])
    volumes_ml = evidence.areas("lv")[ed] * found.included[ed, :, 2] * evidence.shares * evidence.cine.spacing[0] / 1000
    if found.base_first is None or not len(present) or not volumes_ml.any():
        return NotChecked("the base, or one of the ventricles, is not labelled at ED")
    places = np.arange(evidence.slices)
    beyond = np.where(places < present[0] if found.base_first else places > present[-1], volumes_ml, 0)
    share = 100 * beyond.sum() / volumes_ml.sum()
    if share <= check.threshold:
        return []
    slices = ", ".join(str(place + 1) for place in np.flatnonzero(beyond))
    text = (
        f"At ED the LV reaches beyond the RV at the base (slice {slices}), by {beyond.sum():.0f} ml or {share:.1f} % "
        f"of its volume; wanted at most {check.threshold:g} %: look whether the RV is missing or the LV goes too far."
    )
    return [check.flag(text, share, ed, int(beyond.argmax()))]


def _relative_difference(first: float, second: float) -> float | None:
    """In % of the mean; ``None`` where both are 0, and 200 where the mean is not positive."""
    if first == second == 0:
        return None
    mean = (first + second) / 2
    return min(200.0, 100 * abs(first - second) / mean) if mean > 0 else 200.0


def ejection_fraction(evidence: Evidence, check: Check) -> Found:
    """A ventricle's EF outside the range."""
    value = getattr(evidence.measurements, f"{check.structure}_ef_percent")
    if value is None:
        return NotChecked("there is no ejection fraction: the cine has one phase, or the ventricle is not labelled")
    return _range_flag(check, value, f"{check.structure.upper()}EF is {value:.1f} %", "%")


def end_diastolic_volume(evidence: Evidence, check: Check) -> Found:
    """A ventricle's EDV outside the range."""
    value = getattr(evidence.measurements, f"{check.structure}_edv_ml")
    if value is None:
        return NotChecked("there is no ED: the cine has one phase")
    return _range_flag(check, value, f"{check.structure.upper()}EDV is {value:.1f} ml", "ml")


def mass_to_volume(evidence: Evidence, check: Check) -> Found:
    """LV mass over LV volume at ED, which no wrong spacing changes: a wall much too thin or too thick."""
    found = evidence.measurements
    volume = found.lv_ml[found.ed_frame]
    if volume <= 0:
        return NotChecked("the LV is not labelled at ED")
    value = found.lv_mass_g / volume
    return _range_flag(check, value, f"The LV's mass over its volume at ED is {value:.2f} g/ml", "g/ml")


def lv_length(evidence: Evidence, check: Check) -> Found:
    """Slices with LV at ED times their share of the axis: a wrong slice spacing, or slices that are missing."""
    present = evidence.present("lv")[evidence.measurements.ed_frame]
    if not present.any():
        return NotChecked("the LV is not labelled at ED")
    slices, value = int(present.sum()), evidence.cine.spacing[0] * float(evidence.shares[present].sum())
    what = f"The LV is {value:.0f} mm long at ED ({slices} slices of {value / slices:.1f} mm)"
    return _range_flag(check, value, what, "mm")


def lv_diameter(evidence: Evidence, check: Check) -> Found:
    """Diameter of the circle with the area of LV and wall, in the slice with most of them at ED: a wrong pixel size."""
    ed = evidence.measurements.ed_frame
    areas = evidence.areas("myo")[ed] + evidence.areas("lv")[ed]
    if not areas.any():
        return NotChecked("the LV is not labelled at ED")
    value = 2 * math.sqrt(areas.max() / math.pi)
    return _range_flag(check, value, f"The LV with its wall is {value:.0f} mm wide at ED", "mm")


def _range_flag(check: Check, value: float, what: str, unit: str) -> Found:
    low, high = check.threshold
    return [check.flag(f"{what}; wanted {low:g} to {high:g} {unit}.", value)] if check.outside(value) else []
