"""Slices that belong to a stack and are kept out of its group by another matrix, pixel spacing or tilt."""

from collections.abc import Sequence

import numpy as np

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom.errors import E_AMBIGUOUS_SAX, E_MATRIX_MISMATCH, E_NO_GEOMETRY, E_NONPARALLEL
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.groups import LEAST_SLICES, Group
from cardiacseg.io.dicom.image_kind import MAGNITUDE
from cardiacseg.io.dicom.orientation import angle_degrees, directions
from cardiacseg.io.dicom.slices import COUNTING, depths_mm

_FAMILY_DEGREES = 10.0
_SAME_PLANE_DEGREES = 0.1


def check_neighbours(chosen: Group, groups: Sequence[Group]) -> None:
    """Raise ``DicomError`` where another group holds slices of the same cine that ``chosen`` lacks.

    Images in planes that ``chosen`` has already, or taken in another way, are none of them.
    """
    own = chosen.depths_mm
    half_step = float(np.median(np.diff(own))) / 2
    for group in groups:
        if group.number == chosen.number:
            continue
        if not group.slices:
            _check_placeless(chosen, group)
        elif _is_family(chosen, group):
            new = [depth for depth in _depths(group, chosen) if np.abs(own - depth).min() > half_step]
            if new:
                _refuse(chosen, group, sorted([*own, *new]).index(new[0]) + 1)


def check_scattered(groups: Sequence[Group]) -> None:
    """Raise ``DicomError`` where no group is a stack and several together would be one."""
    cines = [group for group in groups if group.kind == MAGNITUDE and group.cine_slices]
    for first in cines:
        family = [group for group in cines if group is first or _is_family(first, group)]
        if sum(len(group.cine_slices) for group in family) >= LEAST_SLICES:
            together = sorted(_depths(first, first).tolist() + [d for g in family[1:] for d in _depths(g, first)])
            _refuse(first, family[1], together.index(_depths(family[1], first)[0]) + 1)


def _depths(group: Group, along: Group) -> np.ndarray:
    return depths_mm([frames[0] for frames in group.cine_slices], along.frames[0].orientation)


def _tilt(first: Group, other: Group) -> float:
    normals = [directions(group.frames[0].orientation)[:, 2] for group in (first, other)]
    return angle_degrees(*normals)


def _is_family(first: Group, other: Group) -> bool:
    a, b = first.frames[0], other.frames[0]
    same_place = (a.study_uid, a.frame_of_reference_uid) == (b.study_uid, b.frame_of_reference_uid)
    same_way = other.kind == MAGNITUDE and a.protocol == b.protocol and bool(other.cine_slices)
    return same_place and same_way and _tilt(first, other) <= _FAMILY_DEGREES


def _check_placeless(chosen: Group, group: Group) -> None:
    """Images without a place may be slices of the stack where they are of its series, or were taken in its way."""
    series, protocol = {frame.series_uid for frame in chosen.frames}, chosen.frames[0].protocol
    images = [frame for frame in group.frames if frame.kind == MAGNITUDE]
    lost = [frame for frame in images if frame.series_uid in series or frame.protocol == protocol]
    if lost:
        raise DicomError(
            E_NO_GEOMETRY,
            f"{len(lost)} images like those of the cine have no usable position, orientation or pixel spacing "
            f"(first: {lost[0].file.name})",
        )


def _refuse(chosen: Group, group: Group, slice_number: int) -> None:
    first, other = chosen.frames[0], group.frames[0]
    where = f"slice {slice_number} of the stack (group {group.name} beside {chosen.name}; {COUNTING})"
    tilt = _tilt(chosen, group)
    if tilt > _SAME_PLANE_DEGREES:
        raise DicomError(E_NONPARALLEL, f"{where} is tilted by {tilt:.1f} degrees against the others")
    if (first.rows, first.columns, first.pixel_spacing) == (other.rows, other.columns, other.pixel_spacing):
        raise DicomError(E_AMBIGUOUS_SAX, f"{where} is turned within its plane or repeats slices in another way")
    raise DicomError(
        E_MATRIX_MISMATCH,
        f"{where} has {other.rows} x {other.columns} pixels of {_mm(other)} mm, the others {first.rows} x "
        f"{first.columns} of {_mm(first)} mm",
    )


def _mm(frame: Frame) -> str:
    return " x ".join(f"{step:.4g}" for step in frame.pixel_spacing)
