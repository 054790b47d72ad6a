"""Instances that came twice, or that nothing tells apart."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import E_DAMAGED, E_DUPLICATE_SLICE, N_SAME_INSTANCE
from cardiacseg.io.dicom.frames import Frame


def without_copies(frames: Iterable[Frame]) -> tuple[list[Frame], tuple[Note, ...]]:
    """The frames, those with equal headers once, and a note where some came more often."""
    kept: dict[tuple, Frame] = {}
    copies = 0
    for frame in frames:
        key = (frame.sop_instance_uid, frame.number)
        known = kept.get(key)
        if known is not None and frame.sop_instance_uid and replace(frame, file=known.file) == known:
            copies += 1
        else:
            kept[key if known is None and frame.sop_instance_uid else (*key, frame.file.name)] = frame
    text = f"{copies} images came more than once with equal headers; each was read once"
    return list(kept.values()), (Note(N_SAME_INSTANCE, text),) if copies else ()


def check_instances(frames: Sequence[Frame]) -> None:
    """Raise ``DicomError`` for the first frame whose pixels are not whole, or that cannot be named as a source."""
    for frame in frames:
        if frame.problem is not None:
            raise frame.problem
        if not frame.sop_instance_uid:
            raise DicomError(E_DAMAGED, f"{frame.file.name} has no SOPInstanceUID")
    names: dict[tuple, str] = {}
    for frame in frames:
        other = names.setdefault((frame.sop_instance_uid, frame.number), frame.file.name)
        if other != frame.file.name:
            text = f"{other} and {frame.file.name} differ and have the same SOPInstanceUID"
            raise DicomError(E_DUPLICATE_SLICE, text)
