"""Files whose headers cannot be read: which of them the cine needs, and which it does not."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import E_MISSING_PHASE, E_NO_SAX, E_NONUNIFORM_SPACING, N_DAMAGED_FILE

if TYPE_CHECKING:
    from cardiacseg.io.dicom.frames import Frame

_LACKING = (E_NO_SAX, E_MISSING_PHASE, E_NONUNIFORM_SPACING)


@dataclass(frozen=True)
class Damaged:
    """One file. ``series_uid`` is "" if the damage comes before it; ``may_be_cine`` unless the file says otherwise."""

    error: DicomError
    series_uid: str
    may_be_cine: bool


@contextmanager
def blamed(damaged: Sequence[Damaged]) -> Iterator[None]:
    """If there is no stack, or one that lacks images, the first of the files that may hold them is why."""
    try:
        yield
    except DicomError as error:
        if damaged and error.code in _LACKING:
            raise damaged[0].error from error
        raise


def may_belong(damaged: Iterable[Damaged], frames: Iterable["Frame"], chosen: Iterable["Frame"]) -> list[Damaged]:
    """The files that may be images of the chosen stack: not of a series that has others, and is not taken."""
    not_taken = {frame.series_uid for frame in frames} - {frame.series_uid for frame in chosen} - {""}
    return [file for file in damaged if file.may_be_cine and file.series_uid not in not_taken]


def damage_notes(damaged: Sequence[Damaged], possible: Sequence[Damaged], phases: int) -> tuple[Note, ...]:
    """Notes on a stack of ``phases`` that has its slices, by their distances and numbers of phases.

    Raises the error of the first of the ``possible`` files if they may hold a whole slice at an end of it.
    """
    if len(possible) >= phases:
        raise possible[0].error
    others = [file for file in damaged if file not in possible]
    notes = [_note(others, "they are not of the stack")] if others else []
    return (*notes, _note(possible, "the stack has its slices without them")) if possible else tuple(notes)


def _note(damaged: Sequence[Damaged], why: str) -> Note:
    text = f"damaged files that were left out: {len(damaged)}; {why} (first: {damaged[0].error.sentence})"
    return Note(N_DAMAGED_FILE, text)
