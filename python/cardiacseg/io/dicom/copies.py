"""Copies of images: with equal headers, with other numbers or UIDs, or as both classic and Enhanced MR."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import E_TOO_LARGE, N_REPEATED_UID, N_SAME_INSTANCE, N_SAME_PIXELS
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.grey_values import pixel_header
from cardiacseg.io.dicom.headers import parse_whole
from cardiacseg.io.dicom.pixels import Job, decode
from cardiacseg.io.dicom.sources import File

_FILES_AT_ONCE = 64

Key = Callable[[Frame], tuple]


def without_copies(frames: Iterable[Frame]) -> tuple[list[Frame], tuple[Note, ...]]:
    """The frames, each image once, and notes on copies.

    Pixels are compared only if different files have the same position and time. Copies are left out as whole files if
    no frame is lost: first Enhanced MR, then the smaller series, then the later one.
    """
    kept, notes = _without_equal_headers(frames)
    everything = kept
    for key in (_same_origin, _same_moment):
        kept = _each_picture_once(kept, key)
    copies = len(everything) - len(kept)
    if not copies:
        return kept, notes
    are_twins = len({frame.sop_class_uid for frame in everything}) > len({frame.sop_class_uid for frame in kept})
    how = "as classic and as Enhanced MR" if are_twins else "under other headers"
    text = f"{copies} images came again {how} with the same pixels, place and time; each was read once"
    return kept, (*notes, Note(N_SAME_PIXELS, text))


def _without_equal_headers(frames: Iterable[Frame]) -> tuple[list[Frame], tuple[Note, ...]]:
    kept: dict[tuple, Frame] = {}
    copies = 0
    for frame in frames:
        key = (frame.sop_instance_uid, frame.number)
        known = kept.get(key)
        if known is not None and frame.sop_instance_uid and replace(frame, file=known.file) == known:
            copies += 1
        else:
            kept[key if known is None and frame.sop_instance_uid else (*key, frame.file)] = frame
    text = f"{copies} images came more than once with equal headers; each was read once"
    return list(kept.values()), (Note(N_SAME_INSTANCE, text),) if copies else ()


def _place_and_time(frame: Frame, otherwise: tuple) -> tuple:
    place = (frame.study_uid, frame.kind, frame.rows, frame.columns)
    geometry = (frame.position, frame.orientation, frame.pixel_spacing)
    time = frame.temporal_position if frame.trigger_time_ms is None else frame.trigger_time_ms
    return (*place, *geometry, *(otherwise if time is None else (time,)))


def _same_origin(frame: Frame) -> tuple | None:
    origin = (frame.converted_from, None) if frame.converted_from else (frame.sop_instance_uid, frame.number)
    return (*origin, *_place_and_time(frame, (frame.taken_at,))) if origin[0] else None


def _same_moment(frame: Frame) -> tuple:
    return _place_and_time(frame, (frame.taken_at, frame.instance_number, frame.number))


def _each_picture_once(frames: list[Frame], key: Key) -> list[Frame]:
    pictures: dict[tuple, list[Frame]] = defaultdict(list)
    candidates = _in_several_files(frames, key)
    for frame, digest in _digests(candidates):
        pictures[(key(frame), digest)].append(frame)
    several = [same for same in pictures.values() if len({frame.file for frame in same}) > 1]
    if not several:
        return frames
    rank = _ranks(frames)
    for same in several:
        same.sort(key=lambda frame: rank[frame.file])
    left_out = _whole_files(frames, several, rank)
    copies = set()
    for same in several:
        best = next(frame.file for frame in same if frame.file not in left_out)
        copies |= {id(frame) for frame in same if frame.file is not best}
    return [frame for frame in frames if id(frame) not in copies]


def _in_several_files(frames: Iterable[Frame], key: Key) -> list[Frame]:
    """The frames whose pixels are worth comparing."""
    claims: dict[tuple, list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.problem is None and frame.has_geometry and (claim := key(frame)) is not None:
            claims[claim].append(frame)
    return [frame for same in claims.values() if len({frame.file for frame in same}) > 1 for frame in same]


def _ranks(frames: Sequence[Frame]) -> dict[File, int]:
    """A number for each file: of copies, the one in the file with the smallest number is kept."""
    sizes = Counter(frame.series_uid for frame in frames)
    representatives: dict[File, Frame] = {}
    for frame in frames:
        representatives.setdefault(frame.file, frame)

    def worth(file: File) -> tuple:
        frame = representatives[file]
        enhanced, series = frame.number is not None, frame.series_uid
        return enhanced, -sizes[series], frame.series_number or 0, series, frame.order(), file.name

    return {file: place for place, file in enumerate(sorted(representatives, key=worth))}


def _whole_files(frames: Sequence[Frame], several: Sequence[Sequence[Frame]], rank: dict[File, int]) -> set[File]:
    """Files of which every frame is in another file that is kept."""
    sizes = Counter(frame.file for frame in frames)
    pictures: dict[File, list[Sequence[Frame]]] = defaultdict(list)
    for same in several:
        for frame in same:
            pictures[frame.file].append(same)
    left_out: set[File] = set()
    for file in sorted(pictures, key=rank.__getitem__, reverse=True):
        elsewhere = (any(f.file is not file and f.file not in left_out for f in same) for same in pictures[file])
        if len(pictures[file]) == sizes[file] and all(elsewhere):
            left_out.add(file)
    return left_out


def _digests(frames: Sequence[Frame]) -> Iterator[tuple[Frame, bytes]]:
    """A digest of the stored pixels of each frame that can be decoded."""
    by_file: dict[File, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_file[frame.file].append(frame)
    parts = list(by_file.items())
    for start in range(0, len(parts), _FILES_AT_ONCE):
        for frame, picture in _decoded(parts[start : start + _FILES_AT_ONCE]):
            content = picture.astype("<f8")  # independent of the type: copies may have another transfer syntax
            yield frame, hashlib.sha256(repr(picture.shape).encode() + content.tobytes()).digest()


def _decoded(parts: list[tuple[File, list[Frame]]]) -> list[tuple[Frame, np.ndarray]]:
    """Each frame with its pixels; files that cannot be decoded are left out, because they cannot be compared."""
    try:
        decoded = decode(_job(file, own) for file, own in parts)
    except DicomError as error:
        if error.code == E_TOO_LARGE:
            raise
        return [pair for part in parts for pair in _decoded([part])] if len(parts) > 1 else []
    return [pair for (_, own), pictures in zip(parts, decoded, strict=True) for pair in zip(own, pictures, strict=True)]


def _job(file: File, frames: Sequence[Frame]) -> Job:
    return Job(file.name, pixel_header(parse_whole(file))[0], [(frame.number or 1) - 1 for frame in frames])


def check_instances(frames: Sequence[Frame]) -> None:
    """Raise ``DicomError`` for the first frame with incomplete pixels."""
    problem = next((frame.problem for frame in frames if frame.problem is not None), None)
    if problem is not None:
        raise problem


def unusable_for_results(slices: Iterable[Sequence[Frame]]) -> tuple[str, tuple[Note, ...]]:
    """Why DICOM results cannot name the instances of a cine as their sources ("" if they can), also as a note."""
    names: dict[tuple, File] = {}
    for frame in (frame for frames in slices for frame in frames):
        known = names.setdefault((frame.sop_instance_uid, frame.number), frame.file)
        if not frame.sop_instance_uid or known is not frame.file:
            what = "have the same SOPInstanceUID" if frame.sop_instance_uid else "have no SOPInstanceUID"
            note = Note(N_REPEATED_UID, f"different images {what}; their other attributes told them apart")
            return f"different images {what}, so that they cannot be named as sources", (note,)
    return "", ()
