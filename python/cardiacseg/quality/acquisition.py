"""Whether the cine covers the heart and the beat as volumetry wants it."""

import numpy as np

from cardiacseg.io.cine import Flag
from cardiacseg.quality.check import Check, Found, NotChecked
from cardiacseg.quality.evidence import Evidence
from cardiacseg.quality.places import counted_places

NO_HEART = NotChecked("no slice has a label")
# Notes of the reader by which what was measured may be a part of the heart, or no cine.
PART_OF_THE_HEART = frozenset({"N_LEFT_OUT", "N_INCOMPLETE"})
NO_CINE = frozenset({"N_NOT_A_CINE"})


def noted_incomplete(evidence: Evidence, check: Check) -> Found:
    """Notes of the reader that slices were left out or that the study is known to be incomplete."""
    text = "Volumes, mass and ejection fraction may be those of a part of the heart: see {codes}."
    return _noted(evidence, check, PART_OF_THE_HEART, text)


def noted_not_a_cine(evidence: Evidence, check: Check) -> Found:
    """Notes of the reader that the images may not be phases of a beat."""
    text = "The images may not be phases of a beat, and then no volume is that of ED or ES: see {codes}."
    return _noted(evidence, check, NO_CINE, text)


def _noted(evidence: Evidence, check: Check, codes: frozenset[str], sentence: str) -> list[Flag]:
    found = [note.code for note in evidence.cine.notes if note.code in codes]
    said = " and ".join(dict.fromkeys(found))
    return [check.flag(sentence.format(codes=said), len(found))] if found else []


def few_slices(evidence: Evidence, check: Check) -> Found:
    """S below the threshold."""
    if evidence.slices >= check.threshold:
        return []
    text = f"The stack has {evidence.slices} slices; wanted at least {check.threshold:g} to cover the heart."
    return [check.flag(text, evidence.slices)]


def few_phases(evidence: Evidence, check: Check) -> Found:
    """T below the threshold."""
    if evidence.phases >= check.threshold:
        return []
    text = f"The cine has {evidence.phases} phases; wanted at least {check.threshold:g} to find ED and ES."
    return [check.flag(text, evidence.phases)]


def wide_spacing(evidence: Evidence, check: Check) -> Found:
    """Distance from one slice's centre to the next above the threshold."""
    if evidence.slices < 2:
        return NotChecked("there is one slice")
    between = float(evidence.steps_mm.max())
    if between <= check.threshold:
        return []
    most = "up to " if evidence.cine.geometry.slice_offsets_mm else ""
    text = f"Slices are {most}{between:.1f} mm apart, centre to centre; wanted at most {check.threshold:g} mm."
    return [check.flag(text, between)]


def pixel_size(evidence: Evidence, check: Check) -> Found:
    """A pixel's longer side outside the range."""
    side = max(evidence.cine.spacing[1:])
    if not check.outside(side):
        return []
    low, high = check.threshold
    return [check.flag(f"A pixel is {side:.2f} mm long; wanted {low:g} to {high:g} mm.", side)]


def heart_rate(evidence: Evidence, check: Check) -> Found:
    """Heart rate outside the range."""
    rate = evidence.cine.timing.heart_rate_per_min
    if rate is None:
        return NotChecked("the length of a beat is unknown")
    if not check.outside(rate):
        return []
    low, high = check.threshold
    return [check.flag(f"The heart rate is {rate:.0f} per minute; wanted {low:g} to {high:g}.", rate)]


def beat_estimated(evidence: Evidence, check: Check) -> Found:
    """The length of a beat, and with it heart rate and output, was estimated from the phases' times."""
    timing = evidence.cine.timing
    if timing.rr_interval_ms is None:
        return NotChecked("the length of a beat is unknown")
    if not (timing.rr_source or "").startswith("estimated"):
        return []
    text = f"The length of a beat, {timing.rr_interval_ms:.0f} ms, is {timing.rr_source}: no attribute says it."
    return [check.flag(text, 1)]


def at_border(evidence: Evidence, check: Check) -> Found:
    """Labels in the outermost rows or columns."""
    if not evidence.labelled:
        return NO_HEART
    labels = evidence.labels
    edges = [labels[..., 0, :], labels[..., -1, :], labels[..., :, 0], labels[..., :, -1]]
    touched = np.any([edge.any(axis=-1) for edge in edges], axis=0)
    return counted_places(check, touched, "The heart touches the image's border in {place}; it may be cut off.")


def apex_cut_off(evidence: Evidence, check: Check) -> Found:
    """At ED, LV and myocardium of an end slice in % of the largest slice's; of the two ends the smaller, the apex.

    It does not ask which end the base is at: a stack that stops in mid heart looks alike from both.
    """
    if not evidence.labelled:
        return NO_HEART
    ed = evidence.measurements.ed_frame
    shares = _shares(evidence.areas("myo")[ed] + evidence.areas("lv")[ed])
    end = 0 if shares[0] < shares[-1] else evidence.slices - 1
    if shares[end] <= check.threshold:
        return []
    text = (
        f"At ED both ends of the stack show {shares[end]:.1f} % or more of the largest LV with its wall, slice "
        f"{end + 1} the less; wanted at most {check.threshold:g} % at the apex, which may be cut off."
    )
    return [check.flag(text, shares[end], ed, end)]


def base_cut_off(evidence: Evidence, check: Check) -> Found:
    """At ES, RV and LV of an end slice in % of the largest RV and LV, of these the smaller; the end with the more."""
    es = evidence.measurements.es_frame
    if es is None:
        return NotChecked("there is no ES: the cine has one phase")
    if not evidence.labelled:
        return NO_HEART
    shares = np.minimum(*(_shares(evidence.areas(side)[es]) for side in ("rv", "lv")))
    end = 0 if shares[0] >= shares[-1] else evidence.slices - 1
    if shares[end] <= check.threshold:
        return []
    text = (
        f"At ES slice {end + 1}, the last towards the base, shows {shares[end]:.1f} % or more of the largest RV and of "
        f"the largest LV; wanted at most {check.threshold:g} %, or the base may be cut off."
    )
    return [check.flag(text, shares[end], es, end)]


def _shares(areas: np.ndarray) -> np.ndarray:
    """Areas ``[S]`` in % of the largest; 0 where there is none."""
    return 100 * areas / max(areas.max(), 1e-9)
