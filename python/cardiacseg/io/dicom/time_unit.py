"""Which times can be believed: those of one beat in ms, or in s or us where exactly that unit explains them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.beat import (
    LONGEST_MS,
    SHORTEST_MS,
    from_heart_rate_ms,
    is_beat,
    length_of_cycle,
    nominal_ms,
    trigger_times,
)
from cardiacseg.io.dicom.errors import N_TIME_UNIT
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import Slices

SEVERAL_BEATS = "cover several beats, so that slices may not show the same moment of the beat"
NO_BEAT = "fit no beat in ms, s or us"
_MS_PER_UNIT = {"ms": 1.0, "s": 1000.0, "us": 0.001}
# In beats: the least that all frames of a slice cover together, and the latest trigger time.
_LEAST_COVERED, _LATEST = 0.1, 2.0
_STEP_MS = (5.0, 500.0)  # between frames that cover several beats
_COVERED_BY_TRUE_BEAT = (0.5, 1.25)
_HEART_RATE_AGREES = 0.2


def in_ms(slices: Slices) -> tuple[Slices, list[str], tuple[Note, ...]]:
    """Slices whose trigger times and beats are in ms, what is doubtful in each slice's trigger times, and notes.

    Trigger times that fit no beat in any unit become ``None``; those of several beats still put frames in order, until
    :func:`without_doubtful` takes them away.
    """
    read, doubts, units = [], [], Counter()
    for frames in slices:
        beat_unit = _unit_of_beat(frames)
        frames = _scaled(frames, "rr_interval_ms", beat_unit)
        unit, doubt = _unit_of_trigger_times(frames)
        read.append(_scaled(frames, "trigger_time_ms", unit))
        doubts.append(doubt)
        units.update({("nominal intervals", beat_unit), ("trigger times", unit)})
    notes = (
        Note(
            N_TIME_UNIT, f"the {what} of {count} of {len(slices)} slices fit a beat only in {unit} and were read in it"
        )
        for (what, unit), count in sorted(units.items(), key=str)
        if unit not in (None, "ms")
    )
    return read, doubts, tuple(notes)


def without_doubtful(slices: Slices, doubts: Sequence[str]) -> Slices:
    """Slices without the trigger times that are not those of one beat: no time is computed from them."""
    return [
        _scaled(frames, "trigger_time_ms", None) if doubt else frames
        for frames, doubt in zip(slices, doubts, strict=True)
    ]


def _scaled(frames: tuple[Frame, ...], name: str, unit: str | None) -> tuple[Frame, ...]:
    if unit == "ms":
        return frames
    values = [getattr(frame, name) for frame in frames]
    factor = _MS_PER_UNIT.get(unit)
    return tuple(
        replace(frame, **{name: None if value is None or factor is None else value * factor})
        for frame, value in zip(frames, values, strict=True)
    )


def _unit_of_beat(frames: Sequence[Frame]) -> str:
    """Of the nominal interval. Another unit than ms must be confirmed by the heart rate or by the trigger times."""
    lengths = [frame.rr_interval_ms for frame in frames if frame.rr_interval_ms]
    if not lengths or nominal_ms(frames) is not None:
        return "ms"
    length = median(lengths)
    units = (unit for unit, factor in _MS_PER_UNIT.items() if is_beat(length * factor))
    unit = next(units, "ms")
    return unit if _is_confirmed(frames, length * _MS_PER_UNIT[unit]) else "ms"


def _is_confirmed(frames: Sequence[Frame], beat: float) -> bool:
    from_rate = from_heart_rate_ms(frames)
    if from_rate is not None:
        return abs(from_rate - beat) <= _HEART_RATE_AGREES * beat
    cycle = length_of_cycle(trigger_times(frames) or ())
    low, high = _COVERED_BY_TRUE_BEAT
    return any(low * beat <= cycle * factor <= high * beat for factor in _MS_PER_UNIT.values())


def _unit_of_trigger_times(frames: Sequence[Frame]) -> tuple[str | None, str]:
    """The unit, ``None`` where none fits, and what is doubtful, "" where nothing is.

    The ranges are so narrow that at most one unit fits.
    """
    times = trigger_times(frames)
    if times is None or len(set(times)) == 1 < len(times):
        return "ms", ""
    beat = nominal_ms(frames) or from_heart_rate_ms(frames)
    for fits, doubt in ((_are_of_one_beat, ""), (_are_of_several_beats, SEVERAL_BEATS)):
        unit = _fitting_unit(times, lambda scaled, fits=fits: fits(scaled, beat))
        if unit is not None:
            return unit, doubt
    return None, NO_BEAT


def _fitting_unit(times: Sequence[float], fits: Callable[[Sequence[float]], bool]) -> str | None:
    scaled = ((unit, [time * factor for time in times]) for unit, factor in _MS_PER_UNIT.items())
    return next((unit for unit, values in scaled if fits(values)), None)


def _are_of_one_beat(times: Sequence[float], beat: float | None) -> bool:
    latest = _LATEST * (beat or LONGEST_MS)
    if max(times) > latest or min(times) < -latest:
        return False
    cycle = length_of_cycle(times)
    low, high = (SHORTEST_MS, LONGEST_MS) if beat is None else (_LEAST_COVERED * beat, _LATEST * beat)
    return len(times) == 1 or low <= cycle <= high


def _are_of_several_beats(times: Sequence[float], beat: float | None) -> bool:
    """Frames without a gate: the first was taken soon after some R wave, and the steps are those of a cine."""
    latest, step = _LATEST * (beat or LONGEST_MS), length_of_cycle(times) / len(times)
    return abs(min(times)) <= latest < max(times) and _STEP_MS[0] <= step <= _STEP_MS[1]
