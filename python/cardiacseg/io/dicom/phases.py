"""Phases of a slice: their rank in the beat, never their absolute time, since every breath-hold has its own beat."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.beat import beat_of_slice_ms
from cardiacseg.io.dicom.errors import E_MISSING_PHASE, E_PHASE_ORDER, N_NEAREST_PHASE, N_PHASE_ORDER
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import COUNTING, Slices

_BEATS = 2.0  # a trigger time beyond this many beats counts something else than the time after the R wave
TRIGGER_TIME, TEMPORAL_POSITION = "trigger time", "temporal position"


def _by_trigger_time(frame: Frame) -> float | None:
    time, beat = frame.trigger_time_ms, frame.rr_interval_ms
    repurposed = time is not None and beat is not None and beat > 0 and time > _BEATS * beat
    return None if repurposed else time


def _by_instance_number(frame: Frame) -> tuple | None:
    return None if frame.instance_number is None else (frame.instance_number, frame.number or 0)


_RULES: dict[str, Callable[[Frame], object]] = {
    TRIGGER_TIME: _by_trigger_time,
    TEMPORAL_POSITION: lambda frame: frame.temporal_position,
    "instance number": _by_instance_number,
    "acquisition time": lambda frame: frame.taken_at or None,
}


def order_phases(slices: Slices) -> tuple[Slices, list[str]]:
    """Each slice's frames in the order of phases, and for each slice the attribute that gave the order.

    The first of the rules whose values are all there and all different is taken: trigger time (in a multi-frame
    instance the index of the temporal position comes before it), temporal position, instance number, acquisition time.
    """
    ordered, rules = [], []
    for index, frames in enumerate(slices, start=1):
        rule = next((name for name in _rules_for(frames) if _decides(frames, _RULES[name])), None)
        if rule is None:
            raise DicomError(
                E_PHASE_ORDER,
                f"no attribute tells the {len(frames)} phases of slice {index} apart: trigger time, temporal position, "
                f"instance number and acquisition time are absent or repeat; {COUNTING}",
            )
        ordered.append(tuple(sorted(frames, key=_RULES[rule])))
        rules.append(rule)
    return ordered, rules


def _rules_for(frames: tuple[Frame, ...]) -> list[str]:
    enhanced = frames[0].number is not None
    return sorted(_RULES, key=TEMPORAL_POSITION.__ne__) if enhanced else list(_RULES)


def _decides(frames: tuple[Frame, ...], rule: Callable[[Frame], object]) -> bool:
    values = [rule(frame) for frame in frames]
    return None not in values and len(set(values)) == len(values)


def order_notes(rules: list[str]) -> tuple[Note, ...]:
    """A note for each rule that is not a matter of course."""
    counted = Counter(rule for rule in rules if rule not in (TRIGGER_TIME, TEMPORAL_POSITION))
    sentence = "the phases of {} of {} slices were put in order by {}"
    return tuple(
        Note(N_PHASE_ORDER, sentence.format(count, len(rules), rule)) for rule, count in sorted(counted.items())
    )


def equal_phases(slices: Slices, nearest_phase: bool) -> tuple[Slices, tuple[Note, ...]]:
    """Slices with as many phases as most of them have.

    Raises ``DicomError`` for a slice with another number, unless ``nearest_phase`` asks for the nearest relative phase
    in its place; a slice with less than half of the phases is refused in any case.
    """
    wanted = max(Counter(map(len, slices)).items(), key=lambda item: (item[1], item[0]))[0]
    odd = [index for index, frames in enumerate(slices) if len(frames) != wanted]
    if not odd:
        return slices, ()
    _check_odd(slices, odd, wanted, nearest_phase)
    aims = np.mean([_relative_phases(frames) for frames in slices if len(frames) == wanted], axis=0)
    filled = [frames if len(frames) == wanted else _nearest(frames, aims) for frames in slices]
    sentence = "slice {} has {} phases instead of {}; the nearest ones were taken"
    notes = (Note(N_NEAREST_PHASE, sentence.format(index + 1, len(slices[index]), wanted)) for index in odd)
    return filled, tuple(notes)


def _check_odd(slices: Slices, odd: list[int], wanted: int, nearest_phase: bool) -> None:
    counts = {index: len(slices[index]) for index in odd}
    said = ", ".join(f"slice {index + 1} has {count}" for index, count in counts.items())
    if not nearest_phase or min(counts.values()) * 2 < wanted:
        raise DicomError(E_MISSING_PHASE, f"wanted {wanted} phases in each slice; {said}; {COUNTING}")


def _relative_phases(frames: tuple[Frame, ...]) -> np.ndarray:
    """Time of each phase as a share of the beat, or its rank where times are not known."""
    beat = beat_of_slice_ms(frames)
    times = [frame.trigger_time_ms for frame in frames]
    if beat is None or None in times:
        return np.arange(len(frames)) / len(frames)
    return np.array(times) / beat


def _nearest(frames: tuple[Frame, ...], aims: np.ndarray) -> tuple[Frame, ...]:
    """For each aim the frame whose share of the beat is nearest, round the circle of the beat."""
    away = (aims[:, None] - _relative_phases(frames) + 0.5) % 1 - 0.5
    return tuple(frames[index] for index in np.abs(away).argmin(axis=1))
