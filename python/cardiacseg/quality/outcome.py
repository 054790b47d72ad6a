"""All checks of one cine, as flags and as ``quality.json``."""

from dataclasses import asdict, replace
from typing import NamedTuple

from cardiacseg.io.cine import Flag, Note, SegmentedCine
from cardiacseg.io.json_files import RESEARCH_USE
from cardiacseg.quality import acquisition
from cardiacseg.quality.check import Check, Found, NotChecked
from cardiacseg.quality.checks import CHECKS
from cardiacseg.quality.evidence import Evidence

COUNTING = "slices and phases count from 1 in texts, from 0 in the fields frame and slice"


class Outcome(NamedTuple):
    """A check and what it found."""

    check: Check
    found: Found


def run_checks(segmented: SegmentedCine) -> tuple[Outcome, ...]:
    """Every check of :data:`cardiacseg.quality.checks.CHECKS`, in its order. Nothing is changed."""
    evidence = Evidence(segmented)
    return tuple(Outcome(check, check.find(evidence, check)) for check in CHECKS)


def find_flags(segmented: SegmentedCine) -> tuple[Flag, ...]:
    """The reader's notes, then the flags of the checks in their order; ``segmented.flags`` is not read.

    Of the notes, those come first by which what was measured may be a part of the heart, or no cine.
    """
    return _flags(segmented, run_checks(segmented))


def checked(segmented: SegmentedCine) -> SegmentedCine:
    """The cine with the flags and the results of all checks, which run here and nowhere else in a study."""
    outcomes = run_checks(segmented)
    return replace(segmented, flags=_flags(segmented, outcomes), checks=tuple(map(_described, outcomes)))


def with_note(segmented: SegmentedCine, note: Note) -> SegmentedCine:
    """A checked cine with one more note, which no check depends on, and its flag behind those of the other notes."""
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


def _flags(segmented: SegmentedCine, outcomes: tuple[Outcome, ...]) -> tuple[Flag, ...]:
    serious = acquisition.PART_OF_THE_HEART | acquisition.NO_CINE
    ordered = sorted(segmented.cine.notes, key=lambda note: note.code not in serious)
    notes = [Flag(note.code, note.text) for note in ordered]
    found = [flag for outcome in outcomes if not isinstance(outcome.found, NotChecked) for flag in outcome.found]
    return (*notes, *found)


def _described(outcome: Outcome) -> dict:
    check, found = outcome
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
