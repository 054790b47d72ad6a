"""When the phases were taken, and how long a beat lasts."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cardiacseg.acquisition import Timing
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_RR_DIFFERS, N_TIMES_UNKNOWN
from cardiacseg.io.dicom.frames import Frame

_SHORTEST_MS, _LONGEST_MS = 200.0, 3000.0
_DIFFERS = 0.2

Slice = Sequence[Frame]


def _plausible(beat: float | None) -> float | None:
    return beat if beat is not None and _SHORTEST_MS <= beat <= _LONGEST_MS else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _nominal_ms(frames: Slice) -> float | None:
    return _mean([_plausible(frame.rr_interval_ms) for frame in frames])


def _from_heart_rate_ms(frames: Slice) -> float | None:
    rates = [frame.heart_rate_per_min for frame in frames]
    return _mean([_plausible(60000 / rate) if rate else None for rate in rates])


def _from_trigger_times_ms(frames: Slice) -> float | None:
    """The span of the phases and one step more."""
    times = [frame.trigger_time_ms for frame in frames]
    if len(times) < 2 or None in times:
        return None
    return _plausible((max(times) - min(times)) * len(times) / (len(times) - 1))


_SOURCES = {
    "NominalInterval, mean over the slices": _nominal_ms,
    "HeartRate, mean over the slices": _from_heart_rate_ms,
    "estimated from the last trigger time, mean over the slices": _from_trigger_times_ms,
}


def beat_of_slice_ms(frames: Slice) -> float | None:
    """Length of the beat in which a slice was taken."""
    return next((beat for source in _SOURCES.values() if (beat := source(frames)) is not None), None)


def timing(slices: Sequence[Slice]) -> tuple[Timing, tuple[Note, ...]]:
    """Timing of a cine from its slices' phases in order.

    The beat's length is the mean over the slices of the first attribute that any of them has; a frame's time is the
    mean over the slices of its rank's trigger time, scaled to that beat.
    """
    for source, beat_of in _SOURCES.items():
        beats = [beat_of(frames) for frames in slices]
        mean = _mean(beats)
        if mean is not None:
            times, notes = _frame_times_ms(slices, mean)
            return Timing(times, mean, source), notes + _beat_notes(beats, mean)
    times, notes = _frame_times_ms(slices, None)
    return Timing(times, None, None), notes


def _frame_times_ms(slices: Sequence[Slice], beat: float | None) -> tuple[tuple[float, ...] | None, tuple[Note, ...]]:
    rows = [_scaled_times(frames, beat) for frames in slices]
    known = [row for row in rows if row is not None]
    mean = np.mean(known, axis=0) if known else np.array([])
    if known and np.all(np.diff(mean) > 0):
        return tuple(mean.tolist()), ()
    text = "the phases have no trigger times that grow from phase to phase; their times are not known"
    return None, (Note(N_TIMES_UNKNOWN, text),)


def _scaled_times(frames: Slice, beat: float | None) -> np.ndarray | None:
    times = [frame.trigger_time_ms for frame in frames]
    if None in times or not all(earlier < later for earlier, later in pairwise(times)):
        return None
    own = beat_of_slice_ms(frames)
    if own is not None and max(times) > 2 * own:
        return None
    return np.array(times) if beat is None or own is None else np.array(times) * (beat / own)


def _beat_notes(beats: Sequence[float | None], mean: float) -> tuple[Note, ...]:
    known = [beat for beat in beats if beat is not None]
    if max(known) - min(known) <= _DIFFERS * mean:
        return ()
    text = f"the beat lasts {min(known):.0f} ms in one slice and {max(known):.0f} ms in another"
    return (Note(N_RR_DIFFERS, text),)
