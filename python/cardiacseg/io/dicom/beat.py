"""When the frames were taken, and how long a beat lasts."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cardiacseg.acquisition import Timing
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_RR_DIFFERS, N_TIMES_UNKNOWN
from cardiacseg.io.dicom.frames import Frame

SHORTEST_MS, LONGEST_MS = 200.0, 3000.0
_DIFFERS = 0.2
_ABSENT = "are absent"
_REPEAT = "repeat or do not grow from frame to frame"

Slice = Sequence[Frame]


def is_beat(length_ms: float | None) -> bool:
    """Whether a beat can last so long: 20 to 300 a minute."""
    return length_ms is not None and SHORTEST_MS <= length_ms <= LONGEST_MS


def trigger_times(frames: Slice) -> list[float] | None:
    """Of all frames; ``None`` where one has none."""
    times = [frame.trigger_time_ms for frame in frames]
    return None if None in times else times


def length_of_cycle(times: Sequence[float]) -> float:
    """The span of the frames' times and one step more; 0 for fewer than two."""
    count = len(times)
    return float(max(times) - min(times)) * count / (count - 1) if count > 1 else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _plausible(length_ms: float | None) -> float | None:
    return length_ms if is_beat(length_ms) else None


def nominal_ms(frames: Slice) -> float | None:
    """Length of the beat as the header says it."""
    return _mean([_plausible(frame.rr_interval_ms) for frame in frames])


def from_heart_rate_ms(frames: Slice) -> float | None:
    """Length of the beat by the heart rate."""
    rates = [frame.heart_rate_per_min for frame in frames]
    return _mean([_plausible(60000 / rate) if rate else None for rate in rates])


def _from_trigger_times_ms(frames: Slice) -> float | None:
    return _plausible(length_of_cycle(trigger_times(frames) or ()))


_SOURCES = {
    "NominalInterval, mean over the slices": nominal_ms,
    "HeartRate, mean over the slices": from_heart_rate_ms,
    "estimated from the last trigger time, mean over the slices": _from_trigger_times_ms,
}


def beat_of_slice_ms(frames: Slice) -> float | None:
    """Length of the beat in which a slice was taken."""
    return next((beat for source in _SOURCES.values() if (beat := source(frames)) is not None), None)


def timing(slices: Sequence[Slice], doubts: Sequence[str]) -> tuple[Timing, tuple[Note, ...]]:
    """Timing of a cine from its slices' frames in order.

    The beat's length is the mean over the slices of the first attribute that any of them has; a frame's time is the
    mean over the slices of its rank's trigger time, scaled to that beat. ``doubts`` says why a slice's trigger times
    were not believed.
    """
    for source, beat_of in _SOURCES.items():
        beats = [beat_of(frames) for frames in slices]
        mean = _mean(beats)
        if mean is not None:
            times, notes = _frame_times_ms(slices, doubts, mean)
            return Timing(times, mean, source), notes + _beat_notes(beats, mean)
    times, notes = _frame_times_ms(slices, doubts, None)
    return Timing(times, None, None), notes


def _frame_times_ms(
    slices: Sequence[Slice], doubts: Sequence[str], beat: float | None
) -> tuple[tuple[float, ...] | None, tuple[Note, ...]]:
    rows = [_scaled_times(frames, beat) for frames in slices]
    known = [row for row in rows if row is not None]
    if known:
        return tuple(np.mean(known, axis=0).tolist()), _unknown_notes([doubt for doubt in doubts if doubt], len(slices))
    why = [doubt or _why_unknown(frames) for frames, doubt in zip(slices, doubts, strict=True)]
    return None, _unknown_notes(why, len(slices))


def _why_unknown(frames: Slice) -> str:
    return _ABSENT if trigger_times(frames) is None else _REPEAT


def _unknown_notes(reasons: list[str], slices: int) -> tuple[Note, ...]:
    """One note that says why the trigger times of some or all slices were not used."""
    if not reasons:
        return ()
    said = ", those ".join(f"of {count} of {slices} slices {why}" for why, count in sorted(Counter(reasons).items()))
    rest = "the frames' times are not known" if len(reasons) == slices else "the times of the other slices were used"
    return (Note(N_TIMES_UNKNOWN, f"the trigger times {said}; {rest}"),)


def _scaled_times(frames: Slice, beat: float | None) -> np.ndarray | None:
    times = trigger_times(frames)
    if times is None or not all(earlier < later for earlier, later in pairwise(times)):
        return None
    own = beat_of_slice_ms(frames)
    return np.array(times) if beat is None or own is None else np.array(times) * (beat / own)


def _beat_notes(beats: Sequence[float | None], mean: float) -> tuple[Note, ...]:
    known = [beat for beat in beats if beat is not None]
    if max(known) - min(known) <= _DIFFERS * mean:
        return ()
    text = f"the beat lasts {min(known):.0f} ms in one slice and {max(known):.0f} ms in another"
    return (Note(N_RR_DIFFERS, text),)
