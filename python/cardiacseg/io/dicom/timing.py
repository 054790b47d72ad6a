"""Times of the frames and the RR interval, and which of these times are plausible.

Times of one cardiac cycle in ms are used. Times in s or us are used if they fit only in that unit.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

import numpy as np

from cardiacseg.acquisition import Timing
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_RR_DIFFERS, N_TIME_UNIT, N_TIMES_UNKNOWN
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import Slices

SHORTEST_MS, LONGEST_MS = 200.0, 3000.0
_DIFFERS = 0.2
_ABSENT = "are absent"
_REPEAT = "repeat or do not grow from frame to frame"

Slice = Sequence[Frame]
_SEVERAL_CYCLES = "cover several cardiac cycles, so that slices may not show the same moment of the cycle"
_NO_CYCLE = "fit no cardiac cycle in ms, s or us"
_MS_PER_UNIT = {"ms": 1.0, "s": 1000.0, "us": 0.001}
# In RR intervals: the least time that the frames of a slice cover, and the latest trigger time.
_LEAST_COVERED, _LATEST = 0.1, 2.0
_STEP_MS = (5.0, 500.0)  # between frames that cover several cardiac cycles
_COVERED_BY_TRUE_RR_INTERVAL = (0.5, 1.25)
_HEART_RATE_AGREES = 0.2


def _is_rr_interval(length_ms: float | None) -> bool:
    """Whether it can be the length of an RR interval: heart rates of 20 to 300 a minute."""
    return length_ms is not None and SHORTEST_MS <= length_ms <= LONGEST_MS


def trigger_times(frames: Slice) -> list[float] | None:
    """The trigger times of all frames; ``None`` if a frame has none."""
    times = [frame.trigger_time_ms for frame in frames]
    return None if None in times else times


def _length_of_cycle(times: Sequence[float]) -> float:
    """The span of the frames' times and one step more; 0 for fewer than two."""
    count = len(times)
    return float(max(times) - min(times)) * count / (count - 1) if count > 1 else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _plausible(length_ms: float | None) -> float | None:
    return length_ms if _is_rr_interval(length_ms) else None


def _nominal_ms(frames: Slice) -> float | None:
    """The RR interval that the header states."""
    return _mean([_plausible(frame.rr_interval_ms) for frame in frames])


def _from_heart_rate_ms(frames: Slice) -> float | None:
    """The RR interval by the heart rate."""
    rates = [frame.heart_rate_per_min for frame in frames]
    return _mean([_plausible(60000 / rate) if rate else None for rate in rates])


def _from_trigger_times_ms(frames: Slice) -> float | None:
    return _plausible(_length_of_cycle(trigger_times(frames) or ()))


_SOURCES = {
    "NominalInterval, mean over the slices": _nominal_ms,
    "HeartRate, mean over the slices": _from_heart_rate_ms,
    "estimated from the last trigger time, mean over the slices": _from_trigger_times_ms,
}


def rr_interval_of_slice_ms(frames: Slice) -> float | None:
    """The RR interval during which a slice was acquired."""
    return next((rr_interval for source in _SOURCES.values() if (rr_interval := source(frames)) is not None), None)


def timing(slices: Sequence[Slice], doubts: Sequence[str]) -> tuple[Timing, tuple[Note, ...]]:
    """Timing of a cine from its slices' frames in order.

    The RR interval is the mean over the slices of the first attribute that any of them has; a frame's time is the
    mean over the slices of its rank's trigger time, scaled to that interval. ``doubts``: why a slice's trigger times
    were not used.
    """
    for source, rr_interval_of in _SOURCES.items():
        rr_intervals = [rr_interval_of(frames) for frames in slices]
        mean = _mean(rr_intervals)
        if mean is not None:
            times, notes = _frame_times_ms(slices, doubts, mean)
            return Timing(times, mean, source), notes + _rr_interval_notes(rr_intervals, mean)
    times, notes = _frame_times_ms(slices, doubts, None)
    return Timing(times, None, None), notes


def _frame_times_ms(
    slices: Sequence[Slice], doubts: Sequence[str], rr_interval: float | None
) -> tuple[tuple[float, ...] | None, tuple[Note, ...]]:
    rows = [_scaled_times(frames, rr_interval) for frames in slices]
    known = [row for row in rows if row is not None]
    if known:
        return tuple(np.mean(known, axis=0).tolist()), _unknown_notes([doubt for doubt in doubts if doubt], len(slices))
    why = [doubt or _why_unknown(frames) for frames, doubt in zip(slices, doubts, strict=True)]
    return None, _unknown_notes(why, len(slices))


def _why_unknown(frames: Slice) -> str:
    return _ABSENT if trigger_times(frames) is None else _REPEAT


def _unknown_notes(reasons: list[str], slices: int) -> tuple[Note, ...]:
    """One note with the reasons why the trigger times of some or all slices were not used."""
    if not reasons:
        return ()
    said = ", those ".join(f"of {count} of {slices} slices {why}" for why, count in sorted(Counter(reasons).items()))
    rest = "the frames' times are not known" if len(reasons) == slices else "the times of the other slices were used"
    return (Note(N_TIMES_UNKNOWN, f"the trigger times {said}; {rest}"),)


def _scaled_times(frames: Slice, rr_interval: float | None) -> np.ndarray | None:
    times = trigger_times(frames)
    if times is None or not all(earlier < later for earlier, later in pairwise(times)):
        return None
    own = rr_interval_of_slice_ms(frames)
    return np.array(times) if rr_interval is None or own is None else np.array(times) * (rr_interval / own)


def _rr_interval_notes(rr_intervals: Sequence[float | None], mean: float) -> tuple[Note, ...]:
    known = [rr_interval for rr_interval in rr_intervals if rr_interval is not None]
    if max(known) - min(known) <= _DIFFERS * mean:
        return ()
    text = f"the RR interval is {min(known):.0f} ms in one slice and {max(known):.0f} ms in another"
    return (Note(N_RR_DIFFERS, text),)


def in_ms(slices: Slices) -> tuple[Slices, list[str], tuple[Note, ...]]:
    """Slices with trigger times and RR intervals in ms, what is doubtful in each slice's trigger times, and notes.

    Trigger times that fit no cardiac cycle in any unit become ``None``. Those of several cycles still put frames in
    order, until :func:`without_doubtful` removes them.
    """
    read, doubts, units = [], [], Counter()
    for frames in slices:
        rr_interval_unit = _unit_of_rr_interval(frames)
        frames = _scaled(frames, "rr_interval_ms", rr_interval_unit)
        unit, doubt = _unit_of_trigger_times(frames)
        read.append(_scaled(frames, "trigger_time_ms", unit))
        doubts.append(doubt)
        units.update({("nominal intervals", rr_interval_unit), ("trigger times", unit)})
    notes = (
        Note(
            N_TIME_UNIT,
            f"the {what} of {count} of {len(slices)} slices fit a cardiac cycle only in {unit} and were read in it",
        )
        for (what, unit), count in sorted(units.items(), key=str)
        if unit not in (None, "ms")
    )
    return read, doubts, tuple(notes)


def without_doubtful(slices: Slices, doubts: Sequence[str]) -> Slices:
    """Slices without the trigger times that do not belong to one cardiac cycle: no time is computed from them."""
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


def _unit_of_rr_interval(frames: Sequence[Frame]) -> str:
    """The unit of the nominal interval. Units other than ms must be confirmed by the heart rate or trigger times."""
    lengths = [frame.rr_interval_ms for frame in frames if frame.rr_interval_ms]
    if not lengths or _nominal_ms(frames) is not None:
        return "ms"
    length = median(lengths)
    units = (unit for unit, factor in _MS_PER_UNIT.items() if _is_rr_interval(length * factor))
    unit = next(units, "ms")
    return unit if _is_confirmed(frames, length * _MS_PER_UNIT[unit]) else "ms"


def _is_confirmed(frames: Sequence[Frame], rr_interval: float) -> bool:
    from_rate = _from_heart_rate_ms(frames)
    if from_rate is not None:
        return abs(from_rate - rr_interval) <= _HEART_RATE_AGREES * rr_interval
    cycle = _length_of_cycle(trigger_times(frames) or ())
    low, high = _COVERED_BY_TRUE_RR_INTERVAL
    return any(low * rr_interval <= cycle * factor <= high * rr_interval for factor in _MS_PER_UNIT.values())


def _unit_of_trigger_times(frames: Sequence[Frame]) -> tuple[str | None, str]:
    """The unit, ``None`` if none fits, and what is doubtful, "" if nothing is.

    The ranges are so narrow that at most one unit fits.
    """
    times = trigger_times(frames)
    if times is None or len(set(times)) == 1 < len(times):
        return "ms", ""
    rr_interval = _nominal_ms(frames) or _from_heart_rate_ms(frames)
    for fits, doubt in ((_are_of_one_cycle, ""), (_are_of_several_cycles, _SEVERAL_CYCLES)):
        unit = _fitting_unit(times, lambda scaled, fits=fits: fits(scaled, rr_interval))
        if unit is not None:
            return unit, doubt
    return None, _NO_CYCLE


def _fitting_unit(times: Sequence[float], fits: Callable[[Sequence[float]], bool]) -> str | None:
    scaled = ((unit, [time * factor for time in times]) for unit, factor in _MS_PER_UNIT.items())
    return next((unit for unit, values in scaled if fits(values)), None)


def _are_of_one_cycle(times: Sequence[float], rr_interval: float | None) -> bool:
    latest = _LATEST * (rr_interval or LONGEST_MS)
    if max(times) > latest or min(times) < -latest:
        return False
    cycle = _length_of_cycle(times)
    low, high = (
        (SHORTEST_MS, LONGEST_MS) if rr_interval is None else (_LEAST_COVERED * rr_interval, _LATEST * rr_interval)
    )
    return len(times) == 1 or low <= cycle <= high


def _are_of_several_cycles(times: Sequence[float], rr_interval: float | None) -> bool:
    """Frames without ECG gating: the first was acquired soon after some R wave, and the steps are those of a cine."""
    latest, step = _LATEST * (rr_interval or LONGEST_MS), _length_of_cycle(times) / len(times)
    return abs(min(times)) <= latest < max(times) and _STEP_MS[0] <= step <= _STEP_MS[1]
