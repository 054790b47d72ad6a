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
    """Times of a 4-D file's frames, from pixdim[4], toffset and their unit, and notes; unknown for one frame.

    Without a unit an interval is taken in the only one, of s, ms and us, in which it is a cine's: 5 to 500 ms. An
    interval that is no cine's leaves the times unknown.
    """
    frames = file.shape[3]
    if frames == 1:
        return UNKNOWN_TIMING, []
    unit = file.header.get_xyzt_units()[1]
    step = abs(float(file.header["pixdim"][4]))
    fitting = [name for name, factor in _MS_PER_UNIT.items() if _within(step * factor, _INTERVAL)]
    notes = []
    if unit == "unknown" and fitting:
        unit = fitting[0]
        notes.append(
            Note("nifti_time_unit", f"The file gives no unit of time; an interval of {step:g} was read as {unit}.")
        )
    if unit not in fitting:
        text = f"The file's frame interval, {step:g} ({unit}), is not one of a cine; the frames' times are unknown."
        return UNKNOWN_TIMING, [Note("nifti_frame_interval", text)]
    interval = step * _MS_PER_UNIT[unit]
    start, start_notes = _start_ms(file, _MS_PER_UNIT[unit], interval * frames)
    timing, beat_notes = even_timing(interval, frames, start)
    return timing, notes + start_notes + beat_notes


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
