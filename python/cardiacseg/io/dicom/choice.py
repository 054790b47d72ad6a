"""The choice of the group to read: the short-axis cine, or the one that the caller names; reasons for all others."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import LEAST_FRAMES, LEAST_SLICES, Note
from cardiacseg.io.dicom.adjacent_slices import (
    check_adjacent_slices,
    check_scattered,
    completes,
    difference,
    has_slices_of,
    left_out,
)
from cardiacseg.io.dicom.attributes import CINE_KINDS, MAGNITUDE, REASONS
from cardiacseg.io.dicom.errors import (
    E_AMBIGUOUS_SAX,
    E_MIXED_STUDY,
    E_NO_GEOMETRY,
    E_NO_SAX,
    E_NO_SERIES,
    E_NOT_A_CINE,
    N_LEFT_OUT,
    N_NOT_A_CINE,
    N_OTHER_CANDIDATE,
    N_PART_OF_SERIES,
    N_STUDY_UID,
    N_UNUSUAL_ORIENTATION,
)
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.groups import LIST_HINT, Group, group_frames
from cardiacseg.io.dicom.stacks import step_mm
from cardiacseg.io.geometry import SHORT_AXIS_CONE_DEGREES, from_short_axis_degrees

TAKEN = "TAKEN"
_REASONS_SAID = 6
_GAP = 1.5  # steps of the stack


def choose(groups: Sequence[Group]) -> Group:
    """The short-axis cine among the groups of one study.

    A candidate has at least 3 parallel slices with at least 8 phases each, and shows no sign of another series. Of
    several candidates those with a short-axis orientation that are not derived from other images have priority, then
    the one with the most slices. Raises ``DicomError`` if there is none or no single one, and if slices of the stack
    are certainly in another group because of their matrix, spacing or tilt.
    """
    _check_patient(groups)
    candidates = [group for group in groups if group.is_candidate]
    if not candidates:
        _explain_none(groups)
    best = _best(candidates)
    _check_study(best, candidates, groups)
    check_adjacent_slices(best, groups)
    return best


def _best(candidates: Sequence[Group]) -> Group:
    first = min(map(_preference, candidates))
    alike = [group for group in candidates if _preference(group) == first]
    most = max(map(_size, alike))
    best = [group for group in alike if _size(group) == most]
    if len(best) > 1:
        names = " and ".join(group.name for group in best)
        raise DicomError(
            E_AMBIGUOUS_SAX,
            f"expected one short-axis cine, got groups {names} of {most[0]} slices each; choose one; {LIST_HINT}",
        )
    return next((group for group in candidates if completes(best[0], group)), best[0])


def _preference(group: Group) -> tuple:
    """A sort key; smaller is better: images derived from others come last, before them planes unlike a short axis."""
    return group.kind == CINE_KINDS[-1], not is_like_short_axis(group), CINE_KINDS.index(group.kind)


def _size(group: Group) -> tuple[int, int]:
    """The number of slices; of groups with equal numbers the one without gaps is larger."""
    depths = group.depths_mm
    return len(group.cine_slices), -int((np.diff(depths) > _GAP * step_mm(depths)).sum())


def is_like_short_axis(group: Group) -> bool:
    """Whether the planes lie within 45 degrees of the short axis of most hearts."""
    return from_short_axis_degrees(group.frames[0].orientation) <= SHORT_AXIS_CONE_DEGREES


def _studies(*groups: Group) -> set[str]:
    return {frame.study_uid for group in groups for frame in group.frames}


def _check_patient(groups: Sequence[Group]) -> None:
    """Several study UIDs are one study only if no attribute of the patient and no date differs."""
    studies = len(_studies(*groups))
    people = {frame.person for group in groups for frame in group.frames}
    if studies > 1 and any(len({value for value in values if value}) > 1 for values in zip(*people, strict=True)):
        raise DicomError(
            E_MIXED_STUDY, f"expected the images of one study, got {studies} studies of several patients or days"
        )


def _check_study(best: Group, candidates: Sequence[Group], groups: Sequence[Group]) -> None:
    """Refuse a second stack with another study UID, unless every series has a study UID of its own."""
    own, studies = _studies(best), _studies(*groups)
    series = {(frame.study_uid, frame.series_uid) for group in groups for frame in group.frames}
    is_one_each = len(studies) > 2 and len(series) == len(studies)
    others = [group.name for group in candidates if not own & _studies(group)]
    if len(own) == 1 and others and not is_one_each:
        raise DicomError(
            E_MIXED_STUDY,
            f"expected the images of one study; {best.name} and {others[0]} are of different studies; choose one; "
            f"{LIST_HINT}",
        )


def _explain_none(groups: Sequence[Group]) -> None:
    broken = [frame.problem for group in groups for frame in group.frames if frame.problem is not None]
    if broken:
        raise broken[0]
    check_scattered(groups)
    other = next((g for g in groups if g.signs_against and len(g.cine_slices) >= LEAST_SLICES), None)
    if other is not None:
        text = f"no stack is certain to be a cine; {other.name}: {other.signs_against}; {LIST_HINT}"
        raise DicomError(E_NOT_A_CINE, text)
    placeless = [group for group in groups if group.kind == MAGNITUDE and not group.slices]
    if placeless:
        images = sum(len(group.frames) for group in placeless)
        raise DicomError(
            E_NO_GEOMETRY,
            f"expected ImagePositionPatient, ImageOrientationPatient and PixelSpacing of every image; {images} images "
            f"lack one that can be used (first: {placeless[0].frames[0].file.name}); {LIST_HINT}",
        )
    reasons = [f"{group.name}: {_reason_against(group, None, False)[1]}" for group in groups[:_REASONS_SAID]]
    more = [f"{len(groups) - _REASONS_SAID} more"] if len(groups) > _REASONS_SAID else []
    raise DicomError(
        E_NO_SAX,
        f"expected a cine of at least {LEAST_SLICES} parallel slices with at least {LEAST_FRAMES} phases each; "
        f"{'; '.join(reasons + more)}; {LIST_HINT}",
    )


def verdicts(groups: Sequence[Group], chosen: Group | None, by_hand: bool = False) -> list[Group]:
    """The groups with ``taken``, ``code`` and ``reason``."""
    lost = {} if chosen is None else left_out(chosen, groups)
    return [_verdict(group, chosen, by_hand, lost.get(group.number, "")) for group in groups]


def _verdict(group: Group, chosen: Group | None, by_hand: bool, lost: str) -> Group:
    if chosen is not None and group.number == chosen.number:
        why = "it was chosen by the caller" if by_hand else "it is the short-axis cine"
        return replace(group, taken=True, code=TAKEN, reason=why)
    if lost:
        return replace(group, code="R_LEFT_OUT", reason=f"it continues {chosen.name} and was left out: {lost}")
    code, reason = _reason_against(group, chosen, by_hand)
    return replace(group, code=code, reason=reason)


def _reason_against(group: Group, chosen: Group | None, by_hand: bool) -> tuple[str, str]:
    if group.kind not in CINE_KINDS or (chosen is not None and group.kind in REASONS and group.kind != chosen.kind):
        return REASONS[group.kind]
    if not group.slices:
        return "R_NO_GEOMETRY", "its position, orientation or pixel spacing is absent or malformed"
    if not group.cine_slices:
        most = max(len(frames) for frames in group.slices)
        return "R_FEW_PHASES", f"it has at most {most} phases in a slice; a cine has at least {LEAST_FRAMES}"
    if len(group.cine_slices) < LEAST_SLICES:
        return (
            "R_FEW_SLICES",
            f"it has {len(group.cine_slices)} of the {LEAST_SLICES} parallel cine slices that make a stack",
        )
    if group.signs_against:
        return "R_NOT_A_CINE", f"it is not certain to be a cine: {group.signs_against}"
    if chosen is None:
        return "R_UNDECIDED", "it can be the short-axis cine; none was chosen"
    if by_hand:
        return "R_NOT_CHOSEN", f"the caller chose {chosen.name}"
    if not is_like_short_axis(group) and is_like_short_axis(chosen):
        return "R_ORIENTATION", f"its planes lie unlike a short axis, those of {chosen.name} like one"
    return "R_FEWER_SLICES", f"it has no more slices than {chosen.name}"


def notes_on(groups: Sequence[Group], chosen: Group, by_hand: bool) -> tuple[Note, ...]:
    """Notes on the chosen images, and on those that were not chosen."""
    lost = [
        Note(N_LEFT_OUT, f"images of g{number} that continue the stack were left out: {text}")
        for number, text in left_out(chosen, groups).items()
    ]
    if not by_hand:
        return (*_choice_notes(groups, chosen), *chosen.notes, *lost)
    sign = chosen.signs_against
    doubts = [Note(N_NOT_A_CINE, f"{chosen.name} is not certain to be a cine: {sign}")] if sign else []
    return (*doubts, *chosen.notes, *lost)


def _choice_notes(groups: Sequence[Group], chosen: Group) -> tuple[Note, ...]:
    others = [group for group in groups if group.is_candidate and group.number != chosen.number]
    rivals = [group.name for group in others if CINE_KINDS.index(group.kind) <= CINE_KINDS.index(chosen.kind)]
    notes = []
    if rivals:
        text = f"{chosen.name} was read as the short-axis cine; {' and '.join(rivals)} could have been it too"
        notes.append(Note(N_OTHER_CANDIDATE, text))
    if not is_like_short_axis(chosen):
        text = f"the planes of {chosen.name} are {chosen.plane}; it was chosen because {_why_unusual(chosen, others)}"
        notes.append(Note(N_UNUSUAL_ORIENTATION, text))
    studies = len(_studies(*groups))
    if studies > len(_studies(chosen)) == 1:
        text = (
            f"the files have {studies} StudyInstanceUIDs, but no patient or study date differs; they were read as one "
            f"study, and the images of {chosen.name} have one UID"
        )
        notes.append(Note(N_STUDY_UID, text))
    return tuple(notes)


def _why_unusual(chosen: Group, others: Sequence[Group]) -> str:
    like = [group.name for group in others if is_like_short_axis(group)]
    if like:
        return f"what lies like a short axis, {' and '.join(like)}, was derived from other images"
    if not others:
        return "no other group is a stack"
    has_most = all(len(group.cine_slices) <= len(chosen.cine_slices) for group in others)
    return "no stack lies like a short axis" + ", and it has the most slices" * has_most


def select(groups: Sequence[Group], series: str) -> Group:
    """The images that ``series`` names: a group (``g2``), or series by number or UID, several with commas between.

    A plain number that is not a Series Number is a group's. Raises ``DicomError`` if nothing has the name, or if
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
    """Whether both are the same image, in whatever group."""
    return (frame.sop_instance_uid, frame.number, frame.file) == (other.sop_instance_uid, other.number, other.file)


def _said(group: Group) -> str:
    return f"{len(group.slices)} slices of {group.plane} planes in series {', '.join(map(str, group.series_numbers))}"


def _why_apart(part: Group, other: Group) -> str:
    return difference(part, other) if part.slices and other.slices else "it has no position in the patient"


def _rest_notes(part: Group, rest: Sequence[Group]) -> tuple[Note, ...]:
    """Notes on other images of the same slices in the series, such as phase images and copies; no slice is lost."""
    images = sum(len(other.frames) for other in rest)
    kinds = " and ".join(sorted({other.kind for other in rest}))
    text = f"{images} other images of the same slices, in the series that `series` names, were not used ({kinds})"
    return (Note(N_PART_OF_SERIES, text),) if rest else ()


def _usable(group: Group) -> Group:
    if group.kind == "other":
        raise DicomError(E_NO_SERIES, f"{group.name} holds colors or several frames in a classic instance")
    if not group.slices:
        raise DicomError(E_NO_GEOMETRY, f"the images of {group.name} have no position, orientation or pixel spacing")
    return group
