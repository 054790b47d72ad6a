"""When a NIfTI file's frames were taken."""

import math

from cardiacseg.acquisition import UNKNOWN_TIMING, Timing
from cardiacseg.io.cine import Note
from cardiacseg.io.nifti_file import NiftiFile

_MS_PER_UNIT = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}
# ms between frames of a cine, and ms of a beat: 20 to 250 a minute.
_INTERVAL, _BEAT = (5.0, 500.0), (240.0, 3000.0)
_SOURCE = "frame interval times number of frames: right where the cine covers one whole beat"


def timing_of(file: NiftiFile) -> tuple[Timing, list[Note]]:
    """Times of a file's frames, from their axis's step, toffset and their unit, and notes; unknown for one frame.

    An interval that is no cine's (5 to 500 ms) in the file's unit is taken in the only one, of s, ms and us, in which
    it is, and all frames make one beat; without a unit the interval alone decides. Else the times are unknown.
    """
    frames = file.shape[3]
    if frames == 1:
        return UNKNOWN_TIMING, []
    stated = file.header.get_xyzt_units()[1]
    step = _step(file)
    unit = _unit(step, frames, stated)
    if unit is None:
        text = f"The file's frame interval, {step:g} ({stated}), is not one of a cine; the frames' times are unknown."
        return UNKNOWN_TIMING, [Note("nifti_frame_interval", text)]
    notes = []
    if unit != stated:
        of_file = "gives no unit of time" if stated == "unknown" else f"gives {stated} as its unit of time"
        notes.append(Note("nifti_time_unit", f"The file {of_file}; an interval of {step:g} was read as {unit}."))
    interval = step * _MS_PER_UNIT[unit]
    start, start_notes = _start_ms(file, _MS_PER_UNIT[unit], interval * frames)
    timing, beat_notes = even_timing(interval, frames, start)
    return timing, notes + start_notes + beat_notes


def _step(file: NiftiFile) -> float:
    """The pixel size of the frames' axis, or of the fourth, which means time, if only that can be an interval."""
    steps = [abs(float(file.sizes[index + 1])) for index in (file.frames_axis, 3)]
    return next((step for step in steps if _fitting(step)), steps[-1])


def _fitting(step: float) -> list[str]:
    return [name for name, factor in _MS_PER_UNIT.items() if _within(step * factor, _INTERVAL)]


def _unit(step: float, frames: int, stated: str) -> str | None:
    fitting = _fitting(step)
    if stated in fitting or not fitting:
        return stated if fitting else None
    whole_beat = _within(step * _MS_PER_UNIT[fitting[0]] * frames, _BEAT)
    return fitting[0] if stated == "unknown" or (stated in _MS_PER_UNIT and whole_beat) else None


def even_timing(interval_ms: float, frames: int, start_ms: float = 0.0) -> tuple[Timing, list[Note]]:
    """Times of frames that are equally far apart; unknown for one frame."""
    if frames == 1:
        return UNKNOWN_TIMING, []
    beat, notes = _beat_ms(interval_ms * frames)
    times = tuple(start_ms + interval_ms * frame for frame in range(frames))
    return Timing(times, beat, None if beat is None else _SOURCE), notes


def _within(value: float, limits: tuple[float, float]) -> bool:
    # float32 headers hold 0.5 exactly, but not 0.005
    return limits[0] * (1 - 1e-6) <= value <= limits[1] * (1 + 1e-6)


def _start_ms(file: NiftiFile, factor: float, beat: float) -> tuple[float, list[Note]]:
    start = float(file.header["toffset"]) * factor
    if math.isfinite(start) and 0 <= start < beat:
        return start, []
    text = "The file's time of the first frame lies outside of the beat; 0 was taken."
    return 0.0, [Note("nifti_time_offset", text)]


def _beat_ms(length: float) -> tuple[float | None, list[Note]]:
    if _within(length, _BEAT):
        return length, []
    text = f"All frames together last {length:.0f} ms, which is not one beat; the heart rate is unknown."
    return None, [Note("nifti_beat", text)]
