"""Frames of a slice: their rank in the beat, never their absolute time, since every breath-hold has its own beat."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.beat import beat_of_slice_ms, trigger_times
from cardiacseg.io.dicom.errors import E_MISSING_PHASE, E_PHASE_ORDER, N_NEAREST_PHASE, N_PHASE_ORDER
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import COUNTING, Slices

TRIGGER_TIME, TEMPORAL_POSITION = "trigger time", "temporal position"


def _by_instance_number(frame: Frame) -> tuple | None:
    return None if frame.instance_number is None else (frame.instance_number, frame.number or 0)


_RULES: dict[str, Callable[[Frame], object]] = {
    TRIGGER_TIME: lambda frame: frame.trigger_time_ms,
    TEMPORAL_POSITION: lambda frame: frame.temporal_position,
    "percentage of the cardiac phase": lambda frame: frame.percent_of_beat,
    "instance number": _by_instance_number,
    "acquisition time": lambda frame: frame.taken_at or None,
    "acquisition number": lambda frame: frame.acquisition_number,
    "content time": lambda frame: frame.content_at or None,
    "series number": lambda frame: frame.series_number,
}


def order_phases(slices: Slices) -> tuple[Slices, list[str]]:
    """Each slice's frames in order, and for each slice the attribute that gave the order.

    The first of the rules whose values are all there and all different is taken; in a multi-frame instance the index
    of the temporal position comes before the trigger time. Trigger times are those that
    :func:`cardiacseg.io.dicom.time_unit.in_ms` leaves.
    """
    ordered, rules = [], []
    for index, frames in enumerate(slices, start=1):
        rule = next((name for name in _rules_for(frames) if _decides(frames, _RULES[name])), None)
        if rule is None:
            raise DicomError(
                E_PHASE_ORDER,
                f"no attribute tells the {len(frames)} frames of slice {index} apart: {', '.join(_RULES)} are absent "
                f"or repeat; {COUNTING}",
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
    sentence = "the frames of {} of {} slices were put in order by {}"
    return tuple(
        Note(N_PHASE_ORDER, sentence.format(count, len(rules), rule)) for rule, count in sorted(counted.items())
    )


def equal_phases(slices: Slices, nearest_phase: bool) -> tuple[Slices, tuple[Note, ...]]:
    """Slices with as many frames as most of them have.

    Raises ``DicomError`` for a slice with another number, unless ``nearest_phase`` asks for the frames nearest in the
    beat in its place; a slice with less than half of the frames is refused in any case.
    """
    wanted = max(Counter(map(len, slices)).items(), key=lambda item: (item[1], item[0]))[0]
    odd = [index for index, frames in enumerate(slices) if len(frames) != wanted]
    if not odd:
        return slices, ()
    _check_odd(slices, odd, wanted, nearest_phase)
    aims = np.mean([_relative_phases(frames) for frames in slices if len(frames) == wanted], axis=0)
    filled = [frames if len(frames) == wanted else _nearest(frames, aims) for frames in slices]
    sentence = "slice {} has {} frames instead of {}; the nearest ones were taken"
    notes = (Note(N_NEAREST_PHASE, sentence.format(index + 1, len(slices[index]), wanted)) for index in odd)
    return filled, tuple(notes)


def _check_odd(slices: Slices, odd: list[int], wanted: int, nearest_phase: bool) -> None:
    few = [index for index in odd if len(slices[index]) * 2 < wanted]
    if nearest_phase and not few:
        return
    got = ", ".join(f"{len(slices[index])} in slice {index + 1}" for index in odd)
    advice = (
        f"`nearest_phase` fills only slices with at least half of the frames, so send all frames of slice {few[0] + 1}"
        if few
        else "send the missing frames, or fill them with the nearest in the beat: `nearest_phase` (--nearest-phase)"
    )
    raise DicomError(E_MISSING_PHASE, f"expected {wanted} frames in each slice, got {got}; {advice}; {COUNTING}")


def _relative_phases(frames: tuple[Frame, ...]) -> np.ndarray:
    """Time of each frame as a share of the beat, or its rank where times are not known."""
    beat, times = beat_of_slice_ms(frames), trigger_times(frames)
    if beat is None or times is None:
        return np.arange(len(frames)) / len(frames)
    return np.array(times) / beat


def _nearest(frames: tuple[Frame, ...], aims: np.ndarray) -> tuple[Frame, ...]:
    """For each aim the frame whose share of the beat is nearest, round the circle of the beat."""
    away = (aims[:, None] - _relative_phases(frames) + 0.5) % 1 - 0.5
    return tuple(frames[index] for index in np.abs(away).argmin(axis=1))
