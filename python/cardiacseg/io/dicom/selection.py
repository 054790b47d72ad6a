"""A group or series that a caller chose."""

from collections.abc import Sequence

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom.choose import choose
from cardiacseg.io.dicom.errors import E_AMBIGUOUS_SAX, E_NO_GEOMETRY, E_NO_SERIES
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.groups import Group, group_frames
from cardiacseg.io.dicom.image_kind import MAGNITUDE


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
            f"{len(unknown)} of {len(names)} names in `series` are neither a group (g1 to g{len(groups)}) nor a series",
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
    images = [part for part in parts if part.kind == MAGNITUDE] or parts
    part = images[0] if len(images) == 1 else _choose_part(images)
    listed = next(group for group in groups if part.frames[0] in group.frames)
    return Group(listed.number, part.frames, part.slices)


def _choose_part(parts: list[Group]) -> Group:
    try:
        return choose(parts)
    except DicomError as error:
        raise DicomError(
            E_AMBIGUOUS_SAX, f"the series that were chosen make {len(parts)} groups of images; choose one of them"
        ) from error


def _usable(group: Group) -> Group:
    if group.kind == "other":
        raise DicomError(E_NO_SERIES, f"{group.name} holds colours or several frames in a classic instance")
    if not group.slices:
        raise DicomError(E_NO_GEOMETRY, f"the images of {group.name} have no position, orientation or pixel spacing")
    return group
