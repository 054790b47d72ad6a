"""Which group is the short-axis cine, and why each other one is not."""

from collections.abc import Sequence
from dataclasses import replace

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import (
    E_AMBIGUOUS_SAX,
    E_MIXED_STUDY,
    E_NO_GEOMETRY,
    E_NO_SAX,
    N_OTHER_CANDIDATE,
    N_UNUSUAL_ORIENTATION,
)
from cardiacseg.io.dicom.groups import LEAST_PHASES, LEAST_SLICES, Group
from cardiacseg.io.dicom.image_kind import MAGNITUDE, REASONS
from cardiacseg.io.dicom.neighbours import check_neighbours, check_scattered
from cardiacseg.io.dicom.orientation import SHORT_AXIS_CONE_DEGREES, from_short_axis_degrees

TAKEN = "TAKEN"


def choose(groups: Sequence[Group]) -> Group:
    """The short-axis cine among the groups of one study.

    A candidate has at least 3 parallel slices with at least 8 phases each. Of several, those that lie like a short axis
    come first, and then the one with the most slices. Raises ``DicomError`` where there is none or no single one, and
    where slices of the stack lie in another group because of their matrix, spacing or tilt.
    """
    if len({frame.study_uid for group in groups for frame in group.frames}) > 1:
        raise DicomError(E_MIXED_STUDY, f"wanted the images of one study, got {len(groups)} groups of several studies")
    candidates = [group for group in groups if group.is_candidate]
    if not candidates:
        _explain_none(groups)
    like = [group for group in candidates if is_like_short_axis(group)] or candidates
    most = max(len(group.cine_slices) for group in like)
    best = [group for group in like if len(group.cine_slices) == most]
    if len(best) > 1:
        names = " and ".join(group.name for group in best)
        raise DicomError(
            E_AMBIGUOUS_SAX, f"wanted one short-axis cine; groups {names} have {most} slices each; choose one"
        )
    check_neighbours(best[0], groups)
    return best[0]


def is_like_short_axis(group: Group) -> bool:
    """Whether the planes lie within 45 degrees of the short axis of most hearts."""
    return from_short_axis_degrees(group.frames[0].orientation) <= SHORT_AXIS_CONE_DEGREES


def _explain_none(groups: Sequence[Group]) -> None:
    broken = [frame.problem for group in groups for frame in group.frames if frame.problem is not None]
    if broken:
        raise broken[0]
    check_scattered(groups)
    placeless = [group for group in groups if group.kind == MAGNITUDE and not group.slices]
    if placeless:
        images = sum(len(group.frames) for group in placeless)
        raise DicomError(
            E_NO_GEOMETRY,
            f"wanted ImagePositionPatient, ImageOrientationPatient and PixelSpacing of every image; {images} images "
            f"lack one that can be used (first: {placeless[0].frames[0].file.name})",
        )
    raise DicomError(
        E_NO_SAX,
        f"wanted a cine of at least {LEAST_SLICES} parallel slices with at least {LEAST_PHASES} phases each; none of "
        f"{len(groups)} groups of images is one",
    )


def verdicts(groups: Sequence[Group], chosen: Group | None, by_hand: bool = False) -> list[Group]:
    """The groups with ``taken``, ``code`` and ``reason``."""
    return [_verdict(group, chosen, by_hand) for group in groups]


def _verdict(group: Group, chosen: Group | None, by_hand: bool) -> Group:
    if chosen is not None and group.number == chosen.number:
        why = "it was chosen by the caller" if by_hand else "it is the short-axis cine"
        return replace(group, taken=True, code=TAKEN, reason=why)
    code, reason = _reason_against(group, chosen, by_hand)
    return replace(group, code=code, reason=reason)


def _reason_against(group: Group, chosen: Group | None, by_hand: bool) -> tuple[str, str]:
    if group.kind != MAGNITUDE:
        return "R_" + group.kind.upper().replace(" ", "_"), REASONS[group.kind]
    if not group.slices:
        return "R_NO_GEOMETRY", "its position, orientation or pixel spacing is absent or malformed"
    if not group.cine_slices:
        most = max(len(frames) for frames in group.slices)
        return "R_FEW_PHASES", f"it has at most {most} phases in a slice; a cine has at least {LEAST_PHASES}"
    if len(group.cine_slices) < LEAST_SLICES:
        return (
            "R_FEW_SLICES",
            f"it has {len(group.cine_slices)} of the {LEAST_SLICES} parallel cine slices that make a stack",
        )
    if chosen is None:
        return "R_UNDECIDED", "it can be the short-axis cine; none was taken"
    if by_hand:
        return "R_NOT_CHOSEN", f"the caller chose {chosen.name}"
    if not is_like_short_axis(group) and is_like_short_axis(chosen):
        return "R_ORIENTATION", f"its planes lie unlike a short axis, those of {chosen.name} like one"
    return "R_FEWER_SLICES", f"it has fewer slices than {chosen.name}"


def choice_notes(groups: Sequence[Group], chosen: Group) -> tuple[Note, ...]:
    """What a person should know about an automatic choice."""
    others = [group.name for group in groups if group.is_candidate and group.number != chosen.number]
    notes = []
    if others:
        text = f"{chosen.name} was taken as the short-axis cine; {' and '.join(others)} could have been it too"
        notes.append(Note(N_OTHER_CANDIDATE, text))
    if not is_like_short_axis(chosen):
        text = f"the planes of {chosen.name} are {chosen.plane}; it was taken because no other group is a stack"
        notes.append(Note(N_UNUSUAL_ORIENTATION, text))
    return tuple(notes)
