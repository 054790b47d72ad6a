"""Frames of each slice: one repeat, in the order of the cardiac cycle, the same number in each slice.

Frames are ranked within the cycle, never by absolute time, since every breath-hold has its own RR interval.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from math import inf
from statistics import median

import numpy as np

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import (
    E_DUPLICATE_SLICE,
    E_MISSING_PHASE,
    E_PHASE_ORDER,
    N_LATEST_RETAKE,
    N_NEAREST_PHASE,
    N_ONE_RUN,
    N_PHASE_ORDER,
)
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import COUNTING, Slices
from cardiacseg.io.dicom.timing import rr_interval_of_slice_ms, trigger_times

# Steps between the sorted times of one run, as fractions of their median: two runs interleave unevenly.
_EVEN = 0.75
_LONGEST = 2.0

Repeat = tuple[Frame, ...]
TRIGGER_TIME, TEMPORAL_POSITION = "trigger time", "temporal position"


def one_repeat(slices: Slices, latest_retake: bool) -> tuple[Slices, tuple[Note, ...]]:
    """One repeat of each slice: the only one, or with ``latest_retake`` the latest that is complete.

    Raises ``DicomError`` if there are several and ``latest_retake`` is not set.
    """
    parts = [_parts(frames) for frames in slices]
    whole = _most([len(found[0]) for found in parts if len(found) == 1])
    repeats = [[tuple(chain(*found))] if _is_one_run(found, whole) else found for found in parts]
    joined = sum(len(before) > len(after) for before, after in zip(parts, repeats, strict=True))
    expected = whole or _most([len(repeat) for found in repeats for repeat in found])
    notes = [Note(N_ONE_RUN, _ONE_RUN.format(joined, len(slices)))] if joined else []
    kept = []
    for index, found in enumerate(repeats, start=1):
        _check_repeats(found, expected, index, latest_retake)
        kept.append(max(found, key=lambda repeat: (-abs(len(repeat) - expected), *_age(repeat))))
        if len(found) > 1:
            which = "latest complete" if len(kept[-1]) == expected else "most complete"
            notes.append(
                Note(N_LATEST_RETAKE, f"slice {index} was acquired {len(found)} times; the {which} repeat was kept")
            )
    return kept, tuple(notes)


_ONE_RUN = (
    "the frames of {} of {} slices lie in several series or acquisitions in which no frame of the cycle repeats; "
    "those of each slice were read as one run"
)


def _most(counts: Sequence[int]) -> int | None:
    """The most frequent count, and of several the largest."""
    return max(Counter(counts).items(), key=lambda item: (item[1], item[0]))[0] if counts else None


def _parts(frames: Repeat) -> list[Repeat]:
    """The frames of one slice by series, or within one series by acquisition number.

    Series or acquisitions of one frame each do not count: some scanners write one for each frame.
    """
    for key in (_series, _acquisition):
        parts: dict[object, list[Frame]] = {}
        for frame in frames:
            parts.setdefault(key(frame), []).append(frame)
        if len(parts) > 1 and max(map(len, parts.values())) > 1:
            return [tuple(part) for part in parts.values()]
    return [frames]


def _series(frame: Frame) -> str:
    return frame.series_uid


def _acquisition(frame: Frame) -> int | None:
    return frame.acquisition_number


_TELL_REPEATS: tuple[Callable[[Frame], float | None], ...] = (
    lambda frame: frame.trigger_time_ms,
    lambda frame: frame.temporal_position,
    lambda frame: frame.percent_of_cardiac_cycle,
)


def is_rest_of_run(few: Sequence[Frame], run: Sequence[Frame]) -> bool:
    """Whether ``few`` images of a slice, in series of their own, are frames that ``run`` lacks."""
    return len(run) > len(few) and _is_one_run([tuple(run), tuple(few)], None, _LONGEST)


def _is_one_run(parts: Sequence[Repeat], whole: int | None, longest: float = inf) -> bool:
    """Whether no frame of the cycle comes twice in the parts, and they have no more frames than other slices.

    The first attribute that differs between all frames of each part decides. Instance numbers decide only if they
    continue from series to series, or if the parts make a whole slice, because those of a repeat in the same series
    continue too.
    """
    frames = tuple(chain(*parts))
    if len(parts) == 1 or (whole is not None and len(frames) > whole):
        return False
    for value_of in _TELL_REPEATS:
        values = [[value_of(frame) for frame in part] for part in parts]
        if all(None not in part and len(set(part)) == len(part) for part in values):
            return _is_even(list(chain(*values)), longest)
    numbers = [frame.instance_number for frame in frames]
    if None in numbers or not _is_even(numbers, _LONGEST):
        return False
    return len(frames) == whole or len({frame.series_uid for frame in frames}) >= len(parts)


def _is_even(values: Sequence[float], longest: float) -> bool:
    steps = [later - earlier for earlier, later in pairwise(sorted(map(float, values)))]
    usual = median(steps)
    return 0 < min(steps) >= _EVEN * usual and max(steps) <= longest * usual


def _check_repeats(repeats: Sequence[Repeat], expected: int, index: int, latest_retake: bool) -> None:
    if len(repeats) > 1 and not latest_retake:
        counts = " and ".join(str(len(repeat)) for repeat in repeats)
        text = f"slice {index} was acquired {len(repeats)} times ({counts} frames); {_advice(repeats, expected)}"
        raise DicomError(E_DUPLICATE_SLICE, f"{text}; {COUNTING}")
    doubled = next((repeat for repeat in repeats if len(repeat) == 2 * expected), None)
    if doubled is not None:
        raise DicomError(
            E_DUPLICATE_SLICE,
            f"slice {index} has {2 * expected} frames, twice as many as the others; no attribute tells which belong "
            f"together, so no option can choose: give the files of one repeat; {COUNTING}",
        )


def _advice(repeats: Sequence[Repeat], expected: int) -> str:
    option = "`latest_retake` (--latest-retake)"
    if all(len(repeat) != expected for repeat in repeats):
        return f"none has the {expected} frames of other slices; {option} keeps the most complete one"
    by_series = ", `series` the one that it names" if len({_series(repeat[0]) for repeat in repeats}) > 1 else ""
    return f"{option} keeps the latest complete one{by_series}"


def _age(repeat: Repeat) -> tuple:
    """A sort key, greater for later repeats: by acquisition time, then series, acquisition and instance number."""
    numbers = ((f.series_number or 0, f.acquisition_number or 0, f.instance_number or 0) for f in repeat)
    return max(frame.taken_at for frame in repeat), max(numbers)


def _by_instance_number(frame: Frame) -> tuple | None:
    return None if frame.instance_number is None else (frame.instance_number, frame.number or 0)


_RULES: dict[str, Callable[[Frame], object]] = {
    TRIGGER_TIME: lambda frame: frame.trigger_time_ms,
    TEMPORAL_POSITION: lambda frame: frame.temporal_position,
    "percentage of the cardiac phase": lambda frame: frame.percent_of_cardiac_cycle,
    "instance number": _by_instance_number,
    "acquisition time": lambda frame: frame.taken_at or None,
    "acquisition number": lambda frame: frame.acquisition_number,
    "content time": lambda frame: frame.content_at or None,
    "series number": lambda frame: frame.series_number,
}


def order_frames(slices: Slices) -> tuple[Slices, list[str]]:
    """Each slice's frames in order, and for each slice the attribute that gave the order.

    The first rule whose values are all present and all different is used; in a multi-frame instance the index of the
    temporal position has priority over the trigger time. Trigger times are those from
    :func:`cardiacseg.io.dicom.timing.in_ms`.
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
    """A note for each unusual rule."""
    counted = Counter(rule for rule in rules if rule not in (TRIGGER_TIME, TEMPORAL_POSITION))
    sentence = "the frames of {} of {} slices were put in order by {}"
    return tuple(
        Note(N_PHASE_ORDER, sentence.format(count, len(rules), rule)) for rule, count in sorted(counted.items())
    )


def equal_frame_counts(slices: Slices, nearest_phase: bool) -> tuple[Slices, tuple[Note, ...]]:
    """Slices with as many frames as most of them have.

    Raises ``DicomError`` for a slice with another number, unless ``nearest_phase`` allows the frames nearest in the
    cardiac cycle instead; a slice with less than half of the frames is always refused.
    """
    expected = max(Counter(map(len, slices)).items(), key=lambda item: (item[1], item[0]))[0]
    odd = [index for index, frames in enumerate(slices) if len(frames) != expected]
    if not odd:
        return slices, ()
    _check_odd(slices, odd, expected, nearest_phase)
    targets = np.mean([_relative_times(frames) for frames in slices if len(frames) == expected], axis=0)
    filled = [frames if len(frames) == expected else _nearest(frames, targets) for frames in slices]
    sentence = "slice {} has {} frames instead of {}; the nearest ones were used"
    notes = (Note(N_NEAREST_PHASE, sentence.format(index + 1, len(slices[index]), expected)) for index in odd)
    return filled, tuple(notes)


def _check_odd(slices: Slices, odd: list[int], expected: int, nearest_phase: bool) -> None:
    few = [index for index in odd if len(slices[index]) * 2 < expected]
    if nearest_phase and not few:
        return
    got = ", ".join(f"{len(slices[index])} in slice {index + 1}" for index in odd)
    advice = (
        f"`nearest_phase` fills only slices with at least half of the frames, so send all frames of slice {few[0] + 1}"
        if few
        else "send the missing frames, or fill them with the nearest in the cycle: `nearest_phase` (--nearest-phase)"
    )
    raise DicomError(E_MISSING_PHASE, f"expected {expected} frames in each slice, got {got}; {advice}; {COUNTING}")


def _relative_times(frames: tuple[Frame, ...]) -> np.ndarray:
    """Time of each frame as a fraction of the RR interval, or its rank if times are not known."""
    rr_interval, times = rr_interval_of_slice_ms(frames), trigger_times(frames)
    if rr_interval is None or times is None:
        return np.arange(len(frames)) / len(frames)
    return np.array(times) / rr_interval


def _nearest(frames: tuple[Frame, ...], targets: np.ndarray) -> tuple[Frame, ...]:
    """For each target the frame whose fraction of the RR interval is nearest, cyclically."""
    away = (targets[:, None] - _relative_times(frames) + 0.5) % 1 - 0.5
    return tuple(frames[index] for index in np.abs(away).argmin(axis=1))
