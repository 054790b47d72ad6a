"""Slices that were taken more than once."""

from collections import Counter
from collections.abc import Callable

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import E_DUPLICATE_SLICE, N_LATEST_RETAKE
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import COUNTING, Slices

Take = tuple[Frame, ...]


def split_takes(frames: Take) -> list[Take]:
    """The frames of one slice by take: by series, or within one series by acquisition number.

    Series or acquisitions of one frame each are no takes: some scanners make one of them for each phase.
    """
    for key in (lambda frame: frame.series_uid, lambda frame: frame.acquisition_number):
        parts = _parts(frames, key)
        if len(parts) > 1 and max(map(len, parts)) > 1:
            return parts
    return [frames]


def _parts(frames: Take, key: Callable[[Frame], object]) -> list[Take]:
    parts: dict[object, list[Frame]] = {}
    for frame in frames:
        parts.setdefault(key(frame), []).append(frame)
    return [tuple(part) for part in parts.values()]


def one_take(slices: Slices, latest_retake: bool) -> tuple[Slices, tuple[Note, ...]]:
    """One take of each slice: the only one, or with ``latest_retake`` the latest that is complete.

    Raises ``DicomError`` where there are several and none was asked for.
    """
    takes = [split_takes(frames) for frames in slices]
    wanted = Counter(len(take) for parts in takes for take in parts).most_common(1)[0][0]
    kept, notes = [], []
    for index, parts in enumerate(takes, start=1):
        _check(parts, wanted, index, latest_retake)
        kept.append(max(parts, key=lambda part: (len(part) == wanted, *_age(part))))
        if len(parts) > 1:
            text = f"slice {index} was taken {len(parts)} times; the latest complete take was kept"
            notes.append(Note(N_LATEST_RETAKE, text))
    return kept, tuple(notes)


def _check(parts: list[Take], wanted: int, index: int, latest_retake: bool) -> None:
    if len(parts) > 1 and not latest_retake:
        counts = " and ".join(str(len(part)) for part in parts)
        text = f"slice {index} was taken {len(parts)} times ({counts} images); {COUNTING}"
        raise DicomError(E_DUPLICATE_SLICE, text)
    doubled = next((part for part in parts if len(part) == 2 * wanted), None)
    if doubled is not None:
        raise DicomError(
            E_DUPLICATE_SLICE,
            f"slice {index} has {2 * wanted} images, twice as many as the others, and nothing tells which belong "
            f"together; {COUNTING}",
        )


def _age(take: Take) -> tuple:
    """Later takes have a greater one: by acquisition time, then series, acquisition and instance number."""
    numbers = ((f.series_number or 0, f.acquisition_number or 0, f.instance_number or 0) for f in take)
    return max(frame.taken_at for frame in take), max(numbers)
