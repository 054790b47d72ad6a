"""The table of checks, and all checks of one cine as flags and as ``quality.json``.

``docs/quality.md`` gives the reason for each threshold and how often it is exceeded on ACDC.
"""

from dataclasses import asdict, replace
from typing import NamedTuple

from cardiacseg.io.cine import Flag, Note, SegmentedCine
from cardiacseg.io.json_files import RESEARCH_USE
from cardiacseg.metrics import STRUCTURES
from cardiacseg.quality import acquisition, confidence, plausibility, shape
from cardiacseg.quality.check import Check, CheckContext, Found, NotChecked

_ACDC = "experts' labels of 70 patients of ACDC: nearly all stay within"
_SCMR = "volumetry's usual coverage of heart and cardiac cycle"
_HEART = "no adult's heart is outside"
_MODEL = "the default model on the 10 validation patients of ACDC"
_HEARTS = "synthetic and real cines, whose slices enter and leave the heart"
_ANY = "one is too many"


def _all(threshold: float) -> dict[str, float]:
    return dict.fromkeys(STRUCTURES, threshold)


def _each(structures: dict[str, float], code: str, what: str, unit: str, source: str, find) -> tuple[Check, ...]:
    """The same check for several structures, each with its threshold; codes are ``rv_...``, ``myo_...``, ``lv_...``."""
    return tuple(
        Check(f"{name}_{code}", f"{name.upper()}: {what}", threshold, unit, source, find, name)
        for name, threshold in structures.items()
    )


ACQUISITION = (
    Check("heart_incomplete", "notes that slices are not measured", 0, "notes", _ANY, acquisition.noted_incomplete),
    Check("not_a_cine", "notes that this may be no cine", 0, "notes", _ANY, acquisition.noted_not_a_cine),
    Check("few_slices", "fewer slices than this", 6, "slices", _SCMR, acquisition.few_slices),
    Check("few_phases", "fewer phases than this", 15, "phases", _SCMR, acquisition.few_frames),
    Check(
        "wide_spacing",
        "slices further apart, center to center",
        shape.WIDEST_MM,
        "mm",
        _SCMR,
        acquisition.wide_spacing,
    ),
    Check("pixel_size", "pixels outside", (0.5, 2.5), "mm", "what short-axis cines have", acquisition.pixel_size),
    Check("heart_rate_range", "heart rate outside", (30, 200), "/min", _HEART, acquisition.heart_rate),
    Check("beat_estimated", "RR interval that no attribute states", 0, "estimates", _ANY, acquisition.rr_estimated),
    Check("heart_at_border", "slices with labels at the image's border", 0, "slices", _ANY, acquisition.at_border),
    Check("apex_cut_off", "LV and wall at both ends of the stack at ED", 50, "%", _ACDC, acquisition.apex_cut_off),
    Check("base_cut_off", "RV and LV in the basal end slice at ES", 90, "%", _ACDC, acquisition.base_cut_off),
)

PLAUSIBILITY = (
    Check("lv_mass_difference", "LV mass at ED and at ES apart", 30, "%", _ACDC, plausibility.mass_difference, "myo"),
    Check(
        "stroke_volume_difference",
        "LV's and RV's stroke volume apart",
        plausibility.UNLIKELY_PERCENT,
        "%",
        _ACDC,
        plausibility.stroke_volume_difference,
    ),
    Check(
        "stroke_volumes_apart",
        f"LV's and RV's stroke volume apart by this and more than {plausibility.NOTABLE_ML} ml, and up to "
        f"{plausibility.UNLIKELY_PERCENT} %",
        30,
        "%",
        "what readers look at, beyond what two readers differ by",
        plausibility.stroke_volumes_apart,
    ),
    Check("lv_beyond_rv", "LV beyond the RV at the base at ED", 12, "% of EDV", _ACDC, plausibility.lv_beyond_rv, "lv"),
    *_each({"lv": (5, 85), "rv": (5, 85)}, "ef_range", "EF outside", "%", _HEART, plausibility.ejection_fraction),
    *_each(
        {"lv": (30, 500), "rv": (30, 500)}, "edv_range", "EDV outside", "ml", _HEART, plausibility.end_diastolic_volume
    ),
    Check(
        "lv_mass_to_volume", "LV mass over EDV outside", (0.35, 2.5), "g/ml", _ACDC, plausibility.mass_to_volume, "myo"
    ),
    Check("lv_length_range", "LV's length at ED outside", (50, 140), "mm", _HEART, plausibility.lv_length, "lv"),
    Check("lv_diameter_range", "outer diameter at ED outside", (45, 110), "mm", _HEART, plausibility.lv_diameter, "lv"),
)

SHAPE = (
    *_each(_all(0), "missing", "absent from a middle slice", "slices", _ANY, shape.missing),
    *_each(_all(0), "gap", "absent between slices that have it", "slices", _ANY, shape.gap),
    *_each(_all(20), "fragments", "pieces beside the largest", "mm2", _ACDC, shape.fragments),
    Check("heart_holes", "background that the heart encloses in a slice", 30, "mm2", _ACDC, shape.holes),
    Check("lv_not_surrounded", "LV's outline without myocardium", 5, "%", _ACDC, shape.lv_open, "lv"),
    *_each(
        {"rv": 50, "myo": 25, "lv": 35},
        "area_jump",
        "area off the mean of adjacent slices'",
        "%",
        _ACDC,
        shape.area_jump,
    ),
    Check("slice_shift", "LV's center off the line through adjacent slices", 10, "mm", _ACDC, shape.slice_shift, "lv"),
)

TEMPORAL = (
    Check("es_time", "time from ED to ES outside", (20, 60), "% of the cycle", _HEART, plausibility.es_time),
    *_each(
        {"lv": 25, "rv": 25},
        "curve_roughness",
        "volume off a smooth curve",
        "% of SV",
        _HEARTS,
        plausibility.curve_roughness,
    ),
    *_each(
        _all(2),
        "flicker",
        "comes and goes in a slice",
        "times",
        "a slice at the base or the apex is left once and entered once",
        plausibility.flicker,
    ),
)

CONFIDENCE = (
    Check("presence_uncertain", "classifier nearer to 0.5 than this", 0.05, "", _MODEL, confidence.presence),
    Check("predicted_quality", "predicted Dice below", 0.85, "", _MODEL, confidence.predicted_quality),
    *_each(_all(0.9), "stage_agreement", "Dice of Seg and Ref below", "", _MODEL, confidence.stage_agreement),
)

IMAGES = (
    Check("image_not_finite", "slices with NaN or infinity", 0, "slices", _ANY, acquisition.not_finite),
    Check("image_constant", "slices that are the same everywhere", 0, "slices", _ANY, acquisition.constant_slice),
    Check("image_saturated", "pixels at the largest value", 5, "%", _ACDC, acquisition.saturated),
    Check("image_noise", "noise in the range of grey values", 4, "%", _ACDC, acquisition.noise),
    Check(
        "image_brightness",
        "brightness over the median slice's outside",
        (1 / 3, 3),
        "",
        _ACDC,
        acquisition.brightness,
    ),
)

CHECKS = (*ACQUISITION, *PLAUSIBILITY, *SHAPE, *TEMPORAL, *CONFIDENCE, *IMAGES)

COUNTING = "slices and phases count from 1 in texts, from 0 in the fields frame and slice"


class CheckResult(NamedTuple):
    """A check and what it found."""

    check: Check
    found: Found


def run_checks(segmented: SegmentedCine) -> tuple[CheckResult, ...]:
    """Every check of :data:`cardiacseg.quality.checks.CHECKS`, in its order. Nothing is changed."""
    context = CheckContext(segmented)
    return tuple(CheckResult(check, check.find(context, check)) for check in CHECKS)


def find_flags(segmented: SegmentedCine) -> tuple[Flag, ...]:
    """The reader's notes, then the flags of the checks in their order; ``segmented.flags`` is not read.

    Notes that a part of the heart may be missing, or that the images may not be a cine, come first.
    """
    return _flags(segmented, run_checks(segmented))


def checked(segmented: SegmentedCine) -> SegmentedCine:
    """The cine with the flags and the results of all checks. A study runs the checks here only."""
    results = run_checks(segmented)
    return replace(segmented, flags=_flags(segmented, results), checks=tuple(map(_described, results)))


def with_note(segmented: SegmentedCine, note: Note) -> SegmentedCine:
    """A checked cine with one more note, and its flag after those of the other notes. No check depends on it."""
    notes, flags = segmented.cine.notes, segmented.flags
    flags = (*flags[: len(notes)], Flag(note.code, note.text), *flags[len(notes) :])
    return replace(segmented, cine=replace(segmented.cine, notes=(*notes, note)), flags=flags)


def quality_document(segmented: SegmentedCine) -> dict:
    """Contents of ``quality.json``: ``flags``, and for each of ``checks`` whether it was raised, passed or not made.

    ``reason`` says why a check was not made; else it is ``None``. A cine that is not :func:`checked` is checked first.
    """
    if segmented.checks is None:
        segmented = checked(segmented)
    return {
        "flags": [asdict(flag) for flag in segmented.flags],
        "checks": list(segmented.checks),
        "counting": COUNTING,
        "intended_use": RESEARCH_USE,
    }


def _flags(segmented: SegmentedCine, results: tuple[CheckResult, ...]) -> tuple[Flag, ...]:
    serious = acquisition.PART_OF_THE_HEART | acquisition.NO_CINE
    ordered = sorted(segmented.cine.notes, key=lambda note: note.code not in serious)
    notes = [Flag(note.code, note.text) for note in ordered]
    found = [flag for result in results if not isinstance(result.found, NotChecked) for flag in result.found]
    return (*notes, *found)


def _described(result: CheckResult) -> dict:
    check, found = result
    made = not isinstance(found, NotChecked)
    threshold = list(check.threshold) if isinstance(check.threshold, tuple) else check.threshold
    return {
        "code": check.code,
        "what": check.what,
        "threshold": threshold,
        "unit": check.unit,
        "threshold_source": check.source,
        "state": ("raised" if found else "passed") if made else "not checked",
        "reason": None if made else found.reason,
    }
