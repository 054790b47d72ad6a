"""Slices that continue a stack but are in another group: they cause an error, or are named in a note."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import LEAST_FRAMES, LEAST_SLICES
from cardiacseg.io.dicom.attributes import CINE_KINDS, MAGNITUDE, REASONS
from cardiacseg.io.dicom.errors import E_AMBIGUOUS_SAX, E_MATRIX_MISMATCH, E_NO_GEOMETRY, E_NONPARALLEL
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.groups import LIST_HINT, PARALLEL_DEGREES, Group
from cardiacseg.io.dicom.slices import COUNTING, SHIFT_MM, Slices, center, tilt_degrees
from cardiacseg.io.dicom.stacks import same_person, step_mm
from cardiacseg.io.geometry import directions, turn_degrees

_FAMILY_DEGREES, _NEAR_DEGREES = 10.0, 20.0
_NEAR_MM, _SAME_PLANE_MM = 60.0, 1.0
_GAP, _NEXT = 1.5, 2.5  # steps of the stack
_MOST_TRIED = 32  # so that the time does not grow with the square of the groups


def check_adjacent_slices(chosen: Group, groups: Sequence[Group]) -> None:
    """Raise ``DicomError`` if another group surely holds slices of the same cine that ``chosen`` lacks.

    A group of another sequence does not count, nor does one with images in planes of ``chosen``: it is a separate
    stack.
    """
    for group in groups:
        if group.number == chosen.number:
            continue
        if not group.slices:
            _check_placeless(chosen, group)
            continue
        places = _continuing(chosen, group.cine_slices)
        code = _refusal(chosen, group)
        if places and code and not _repeats(chosen, group):
            raise _refused(code, chosen, group, places[0].after + 1)


def check_scattered(groups: Sequence[Group]) -> None:
    """Raise ``DicomError`` if no group is a stack and several together would be one."""
    cines = [group for group in groups if group.kind in CINE_KINDS and group.cine_slices and not group.signs_against]
    for first in cines[:_MOST_TRIED]:
        family = [group for group in cines if group is not first and _refusal(first, group)]
        if sum(len(group.cine_slices) for group in (first, *family)) >= LEAST_SLICES and family:
            own, other = (_depths(group.cine_slices, first)[0] for group in (first, family[0]))
            number = int(np.searchsorted(own, other[0])) + 1
            raise _refused(_refusal(first, family[0]), first, family[0], number)


def _refusal(chosen: Group, group: Group) -> str:
    """The error's code if everything except the planes' geometry indicates the same cine, else ""."""
    a, b = chosen.frames[0], group.frames[0]
    same_place = (a.study_uid, a.frame_of_reference_uid) == (b.study_uid, b.frame_of_reference_uid)
    same_way = group.kind == chosen.kind and _is_same_sequence(chosen, b) and not group.signs_against
    if not (same_place and same_way and group.cine_slices) or tilt_degrees(a, b) > _FAMILY_DEGREES:
        return ""
    if tilt_degrees(a, b) > PARALLEL_DEGREES:
        return E_NONPARALLEL
    if _grid(a) != _grid(b):
        return E_MATRIX_MISMATCH
    return E_AMBIGUOUS_SAX if _is_turned(a, b) else ""


def _repeats(chosen: Group, group: Group) -> bool:
    """Whether some slices lie in planes of the stack."""
    if len(chosen.slices) < 2:
        return False
    pairs = list(zip(_depths(chosen.slices, chosen), _depths(group.slices, chosen), strict=True))
    return all(np.abs(own[:, None] - other).min() <= step_mm(own) / 2 for own, other in pairs)


def _refused(code: str, chosen: Group, group: Group, number: int) -> DicomError:
    where = f"slice {number} of the stack (group {group.name} beside {chosen.name}; {COUNTING})"
    return DicomError(code, f"{where} does not fit: {difference(chosen, group)}; {LIST_HINT}")


def left_out(chosen: Group, groups: Sequence[Group]) -> dict[int, str]:
    """Unused slices that continue ``chosen``: number of their group -> how many, where, and why unused."""
    if len(chosen.cine_slices) < LEAST_SLICES:
        return {}
    taken = {(frame.sop_instance_uid, frame.number) for frame in chosen.frames}
    found = {}
    for group in groups:
        slices = [part for part in group.slices if (part[0].sop_instance_uid, part[0].number) not in taken]
        if not slices or group.kind == "localizer" or group.signs_against:
            continue
        if places := _continuing(chosen, slices):
            where = " and ".join(place.words(len(chosen.slices)) for place in places)
            why = "`series` does not name them" if group.number == chosen.number else difference(chosen, group)
            found[group.number] = f"{where}; {why}"
    return found


def completes(chosen: Group, other: Group) -> bool:
    """Whether another group has all slices of ``chosen``, at the same distances, and others that continue it."""
    is_larger = len(other.cine_slices) > len(chosen.cine_slices)
    if not is_larger or tilt_degrees(chosen.frames[0], other.frames[0]) > PARALLEL_DEGREES:
        return False
    own, more = (_depths(group.cine_slices, chosen)[0] for group in (chosen, other))
    step, other_step = step_mm(own), step_mm(more)
    has_all = np.abs(own[:, None] - more).min(axis=1).max() <= step / 4
    return bool(has_all and other_step > step / 2 and _continuing(chosen, other.cine_slices))


def has_slices_of(chosen: Group, other: Group) -> bool:
    """Whether all slices of another group lie in planes that ``chosen`` has."""
    if not chosen.slices or not other.slices or tilt_degrees(chosen.frames[0], other.frames[0]) > PARALLEL_DEGREES:
        return False
    own, more = (_depths(group.slices, chosen)[0] for group in (chosen, other))
    return bool(np.abs(own - more[:, None]).min(axis=1).max() <= _SAME_PLANE_MM)


@dataclass(frozen=True)
class _Place:
    """A number of slices after the first ``after`` slices of the stack."""

    count: int
    after: int

    def words(self, slices: int) -> str:
        slices_said = f"{self.count} slice" + "s" * (self.count > 1)
        if self.after in (0, slices):
            return f"{slices_said} {'before slice 1' if self.after == 0 else f'after slice {slices}'}"
        return f"{slices_said} between slices {self.after} and {self.after + 1}"


def _continuing(chosen: Group, slices: Slices) -> list[_Place]:
    """Places in gaps or at the ends of the stack, near its axis, that slices of another group fill."""
    phases = max(map(len, chosen.slices))
    full = [part for part in slices if len(part) >= LEAST_FRAMES or 1 < len(part) >= phases / 2]
    if not full or len(chosen.slices) < 2:
        return []
    first, other = chosen.frames[0], full[0][0]
    tilt, is_same = tilt_degrees(first, other), _is_same_sequence(chosen, other)
    is_alike = is_same and _grid(first) == _grid(other) and max(map(len, full)) == phases
    near = [part for part in full if _beside_mm(chosen, part[0]) <= _NEAR_MM]
    if tilt <= PARALLEL_DEGREES:
        own, new = (_depths(part, chosen)[0] for part in (chosen.slices, near))
        return _open_places(own, new, np.inf if is_alike else _NEXT)
    if not is_same or tilt > (_NEAR_DEGREES if is_alike else _FAMILY_DEGREES):
        return []
    pairs = zip(_depths(chosen.slices, chosen), _depths(near, chosen), strict=True)
    found = (_open_places(own, new, _NEXT) for own, new in pairs)
    # Tilted slices, some of which lie within the stack, are a separate stack, such as a scout.
    return next((places for places in found if sum(place.count for place in places) == len(near)), [])


def _open_places(own: np.ndarray, new: np.ndarray, farthest: float) -> list[_Place]:
    """Places of new slices in gaps of the stack, or at its ends at most ``farthest`` steps from each other."""
    step = step_mm(own)
    counts: dict[int, int] = {}
    ends = [own[0], own[-1]]
    for depth in sorted(new, key=lambda depth: max(own[0] - depth, depth - own[-1])):
        after = int(np.searchsorted(own, depth))
        if after in (0, len(own)):
            end = min(after, 1)
            apart = abs(depth - ends[end])
            is_open = step / 2 < apart <= farthest * step
            ends[end] = depth if is_open else ends[end]
        else:
            is_gap = own[after] - own[after - 1] > _GAP * step
            is_open = is_gap and np.abs(own - depth).min() > step / 2
        if is_open:
            counts[after] = counts.get(after, 0) + 1
    return [_Place(count, after) for after, count in sorted(counts.items())]


def _depths(slices: Slices, along: Group) -> tuple[np.ndarray, np.ndarray]:
    """Positions of each slice's corner and center along the normal of a group; they differ in tilted images."""
    normal = directions(along.frames[0].orientation)[:, 2]
    corners = np.array([part[0].position for part in slices]).reshape(-1, 3) @ normal
    return np.sort(corners), np.sort([center(part[0]) @ normal for part in slices])


def _beside_mm(chosen: Group, frame: Frame) -> float:
    """Distance of an image's center from the stack's axis, within its planes."""
    nearest = min(chosen.slices, key=lambda part: np.linalg.norm(center(part[0]) - center(frame)))[0]
    return float(np.linalg.norm((center(nearest) - center(frame)) @ directions(nearest.orientation)[:, :2]))


def _is_same_sequence(chosen: Group, frame: Frame) -> bool:
    """Whether the sequence is the same; the echo time does not count, because it depends on the field of view."""
    return frame.protocol[:-1] in {own.protocol[:-1] for own in chosen.frames}


def _is_turned(first: Frame, other: Frame) -> bool:
    return turn_degrees(first.orientation, other.orientation) > PARALLEL_DEGREES


def _grid(frame: Frame) -> tuple:
    return frame.rows, frame.columns, frame.pixel_spacing


def _check_placeless(chosen: Group, group: Group) -> None:
    """Images without a position may be slices of the stack if their series or their sequence is the same."""
    series, protocol = {frame.series_uid for frame in chosen.frames}, chosen.frames[0].protocol
    images = [frame for frame in group.frames if frame.kind == MAGNITUDE]
    tells = any(protocol) or len(images) >= LEAST_FRAMES  # without a sequence there is no evidence
    lost = [f for f in images if f.series_uid in series or (tells and f.protocol == protocol)]
    if lost:
        raise DicomError(
            E_NO_GEOMETRY,
            f"{len(lost)} images like those of the cine have no usable position, orientation or pixel spacing "
            f"(first: {lost[0].file.name}); {LIST_HINT}",
        )


def difference(chosen: Group, group: Group) -> str:
    """Why the images of a group are not of the chosen stack."""
    first, other = chosen.frames[0], group.frames[0]
    if group.kind not in CINE_KINDS:
        return REASONS[group.kind][1]
    if (tilt := tilt_degrees(first, other)) > PARALLEL_DEGREES:
        return f"it is tilted by {tilt:.1f} degrees against the others"
    if _grid(first) != _grid(other):
        return (
            f"it has {other.rows} x {other.columns} pixels of {_mm(other)} mm, the others {first.rows} x "
            f"{first.columns} of {_mm(first)} mm"
        )
    if _is_turned(first, other):
        return "it is turned within its plane"
    if not same_person(first, other):
        return "it is of another patient or day"
    if (beside := min(_beside_mm(chosen, part[0]) for part in group.slices)) > SHIFT_MM:
        return f"it lies {beside:.1f} mm beside the others within its plane"
    if not group.cine_slices:
        return f"it has at most {max(map(len, group.slices))} phases in a slice"
    if _repeats(chosen, group):
        return "it repeats other slices of the stack"
    return "its slices do not follow the stack at its own distance"


def _mm(frame: Frame) -> str:
    return " x ".join(f"{step:.4g}" for step in frame.pixel_spacing)
