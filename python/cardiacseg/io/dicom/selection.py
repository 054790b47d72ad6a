"""A group or series that a caller chose."""

from collections.abc import Sequence

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import E_AMBIGUOUS_SAX, E_NO_GEOMETRY, E_NO_SERIES, N_PART_OF_SERIES
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.groups import LIST_HINT, Group, group_frames
from cardiacseg.io.dicom.image_kind import CINE_KINDS
from cardiacseg.io.dicom.neighbours import difference, has_slices_of


def select(groups: Sequence[Group], series: str) -> Group:
    """The images that ``series`` names: a group (``g2``), or series by number or UID, several with commas between.

    A plain number that is no series' number is a group's. Raises ``DicomError`` where nothing has the name, or where
    the named series are not one stack.
    """
    names = [name.strip() for name in series.split(",") if name.strip()]
    if len(names) == 1 and (group := _named_group(groups, names[0])) is not None:
        return _usable(group)
    frames = [frame for group in groups for frame in group.frames if _names_of(frame) & set(names)]
    known = {name for frame in frames for name in _names_of(frame)}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise DicomError(
            E_NO_SERIES,
            f"{len(unknown)} of {len(names)} names in `series` are neither a group (g1 to g{len(groups)}) nor a "
            f"series; {LIST_HINT}",
        )
    return _usable(_only_group(groups, frames))


def _names_of(frame: Frame) -> set[str]:
    return {str(frame.series_number), frame.series_uid}


def _named_group(groups: Sequence[Group], name: str) -> Group | None:
    is_series = any(name in _names_of(frame) for group in groups for frame in group.frames)
    return None if is_series else next((g for g in groups if name.lower() in (g.name, str(g.number))), None)


def _only_group(groups: Sequence[Group], frames: list[Frame]) -> Group:
    """One group of the named series' images; it keeps the number of the listed group that it comes from."""
    parts = group_frames(sorted(frames, key=Frame.order), by_protocol=False)
    part = min(parts, key=lambda part: (_kind_rank(part), -len(part.cine_slices), -len(part.slices), part.number))
    rest = [other for other in parts if other is not part]
    apart = next((other for other in rest if not (_kind_rank(other) > 0 and has_slices_of(part, other))), None)
    if apart is not None:
        raise DicomError(
            E_AMBIGUOUS_SAX,
            f"the series that were chosen make {len(parts)} groups of images ({_said(part)}; {_said(apart)}: "
            f"{_why_apart(part, apart)}); choose one of them; {LIST_HINT}",
        )
    first = part.frames[0]
    listed = next(group for group in groups if any(_is_same(frame, first) for frame in group.frames))
    return Group(listed.number, part.frames, part.slices, part.notes + _rest_notes(part, rest))


def _kind_rank(group: Group) -> int:
    return CINE_KINDS.index(group.kind) if group.kind in CINE_KINDS else len(CINE_KINDS)


def _is_same(frame: Frame, other: Frame) -> bool:
    """Whether both are the same image, wherever it was put."""
    return (frame.sop_instance_uid, frame.number, frame.file) == (other.sop_instance_uid, other.number, other.file)


def _said(group: Group) -> str:
    return f"{len(group.slices)} slices of {group.plane} planes in series {', '.join(map(str, group.series_numbers))}"


def _why_apart(part: Group, other: Group) -> str:
    return difference(part, other) if part.slices and other.slices else "it has no position in the patient"


def _rest_notes(part: Group, rest: Sequence[Group]) -> tuple[Note, ...]:
    """Phase images and copies of the same slices come in the same series, and are no loss."""
    images = sum(len(other.frames) for other in rest)
    kinds = " and ".join(sorted({other.kind for other in rest}))
    text = f"{images} other images of the same slices, in the series that `series` names, were not taken ({kinds})"
    return (Note(N_PART_OF_SERIES, text),) if rest else ()


def _usable(group: Group) -> Group:
    if group.kind == "other":
        raise DicomError(E_NO_SERIES, f"{group.name} holds colours or several frames in a classic instance")
    if not group.slices:
        raise DicomError(E_NO_GEOMETRY, f"the images of {group.name} have no position, orientation or pixel spacing")
    return group
