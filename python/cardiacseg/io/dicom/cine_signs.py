"""Signs of series other than cines with many images per slice: perfusion, T1 and T2 maps, TI scouts, diffusion.

Only attributes of the header count: a cine without times and descriptions shows no sign against it.
"""

import re
from collections.abc import Sequence

import numpy as np

from cardiacseg.io.cine import LEAST_FRAMES, MAPPED_INVERSION_TIMES, NO_CINE
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.timing import rr_interval_of_slice_ms

_CONSTANT = 0.1  # of the longest trigger time: the times of a cine run from a small one to the RR interval
_CYCLE_MS, _OF_A_CYCLE, _MOST_CYCLES = 900.0, 0.5, 2.0
_MOST_CYCLES_APART = 5.0  # images of a slice that are farther apart have changed times, or times in another unit

_Slices = Sequence[Sequence[Frame]]


def signs_against(slices: _Slices) -> str:
    """Why the slices are not a cine, as the end of a sentence; "" if there is no sign."""
    full = [frames for frames in slices if len(frames) >= LEAST_FRAMES]
    if not full:
        return ""
    if _most(len(_inversion_times(frames)) >= MAPPED_INVERSION_TIMES for frames in full):
        return "the inversion time changes from image to image"
    if _most(any((frame.b_value or 0) > 0 for frame in frames) for frames in full):
        return "its images are diffusion-weighted"
    times = [found for frames in full if (found := _trigger_times(frames)) is not None]
    steps = [step for frames in full if (step := _cycles_between(frames)) is not None]
    is_beat_after_beat = 2 * len(steps) > len(full) and _most(step >= _OF_A_CYCLE for step in steps)
    if not times and is_beat_after_beat:
        return "the images of a slice were taken in one beat after the other"
    is_constant = times and all(np.ptp(found) <= _CONSTANT * found.max() for found in times)
    if is_constant and (is_beat_after_beat or not steps) and not _most(map(_has_percentages, full)):
        return "the images of a slice were all taken at the same time after the R wave"
    if _most(max(_inversion_times(frames), default=0) > 0 and _is_named(frames) for frames in full):
        return "it has an inversion time, and its name is that of perfusion, a map or late enhancement"
    return ""


def _most(found: object) -> bool:
    answers = list(found)
    return 2 * sum(answers) > len(answers)


def _inversion_times(frames: Sequence[Frame]) -> set[float]:
    return {round(frame.inversion_time_ms) for frame in frames if frame.inversion_time_ms is not None}


def _trigger_times(frames: Sequence[Frame]) -> np.ndarray | None:
    """``None`` if they are absent, all zero, or beyond two RR intervals, which means another kind of time."""
    times = [frame.trigger_time_ms for frame in frames]
    says = None not in times and 0 < max(times) <= _MOST_CYCLES * _rr_interval_ms(frames)
    return np.array(times) if says else None


def _rr_interval_ms(frames: Sequence[Frame]) -> float:
    return rr_interval_of_slice_ms(frames) or _CYCLE_MS


def _is_named(frames: Sequence[Frame]) -> bool:
    return any(NO_CINE.search(frame.described) for frame in frames)


def _has_percentages(frames: Sequence[Frame]) -> bool:
    """Whether each image states its own time in the cardiac cycle."""
    percentages = [frame.percent_of_cardiac_cycle for frame in frames]
    return None not in percentages and len(set(percentages)) == len(percentages)


def _cycles_between(frames: Sequence[Frame]) -> float | None:
    """The number of cardiac cycles between the images, or ``None`` without times.

    Without clock times, trigger times that continue from cycle to cycle are used.
    """
    clocks_s = [_clock_s(frame.taken_at) for frame in frames]
    clocks_ms = [None if clock is None else 1000 * clock for clock in clocks_s]
    times = [clocks_ms]
    if _trigger_times(frames) is None:
        times.append([frame.trigger_time_ms for frame in frames])
    cycles = (step / _rr_interval_ms(frames) for step in map(_median_step, times) if step is not None)
    return next((apart for apart in cycles if apart <= _MOST_CYCLES_APART), None)


def _median_step(times: Sequence[float | None]) -> float | None:
    tells = None not in times and len(set(times)) == len(times)
    return float(np.median(np.diff(np.sort(times)))) if tells else None


def _clock_s(taken_at: str) -> float | None:
    """Seconds after midnight of a date and time, or of a time alone."""
    found = re.match(r"(?:\d{8})?(\d\d)(\d\d)(\d\d(?:\.\d+)?)(?:[+-]\d{4})?$", taken_at)
    if found is None:
        return None
    hours, minutes, seconds = map(float, found.groups())
    return hours * 3600 + minutes * 60 + seconds
