"""What all DICOM results of one cine have in common."""

import logging
from collections.abc import Iterator
from functools import cached_property

from pydicom import Dataset

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_INCOMPLETE, N_LEFT_OUT, N_RESULT_HEADER
from cardiacseg.io.dicom.source import DicomSource
from cardiacseg.io.dicom_results.head import as_classic_image, complete, moment_of, source_head
from cardiacseg.io.dicom_results.identity import Identity
from cardiacseg.io.dicom_results.options import Phase
from cardiacseg.io.dicom_results.sources import with_series
from cardiacseg.io.dicom_results.structures import MYO, Structure
from cardiacseg.segmented_cine import SegmentedCine

# It would write UIDs into the log of a program that listens to INFO.
if logging.getLogger("highdicom").level == logging.NOTSET:
    logging.getLogger("highdicom").setLevel(logging.WARNING)


class Common:
    """One cine's sources, identity, head and date; ``notes`` say what of the head was made or shortened.

    Raises ``InvalidInputError`` for what no result can be made of.
    """

    def __init__(self, segmented: SegmentedCine):
        _require_dicom(segmented)
        self.segmented = segmented
        self.source: DicomSource = with_series(segmented.cine.dicom)
        self.identity = Identity(segmented)
        self.head = source_head(segmented.cine)
        self.head.SeriesInstanceUID = self.source.frames[0][0].series_instance_uid
        self.date, self.time = moment_of(segmented.cine)
        self.notes = tuple(Note(N_RESULT_HEADER, sentence) for sentence in self._made())

    def _made(self) -> Iterator[str]:
        yield from complete(self.head, self.segmented.cine)
        if self.source is not self.segmented.cine.dicom:
            yield "sources have no SeriesInstanceUID; DICOM results name them with one that was made from their UIDs"

    @cached_property
    def classic(self) -> Dataset:
        """The head on the cine's grid: :func:`~cardiacseg.io.dicom_results.head.as_classic_image`."""
        return as_classic_image(self.head, self.segmented.cine)

    @property
    def incomplete(self) -> bool:
        """Whether images of the heart are known to be missing, or were not taken."""
        return any(note.code in (N_INCOMPLETE, N_LEFT_OUT) for note in self.segmented.cine.notes)

    @property
    def dates(self) -> dict[str, str]:
        return {"content_date": self.date, "content_time": self.time}

    @property
    def times(self) -> list[float] | None:
        times = self.segmented.cine.timing.frame_times_ms
        return None if times is None else list(times)

    def phase_name(self, phase: Phase) -> str:
        """``ED, phase 1 of 25``, or without the first word; phases count from 1."""
        return ", ".join([*_roles(phase), f"phase {phase.index + 1} of {len(self.source.frames)}"])

    def phase_words(self, phase: Phase) -> str:
        """``Phase 1 of 25, ED, 0 ms``, at most 64 characters; phases count from 1 here, ms from the R wave."""
        times = [] if self.times is None else [f"{self.times[phase.index]:.0f} ms"]
        return ", ".join([f"Phase {phase.index + 1} of {len(self.source.frames)}", *_roles(phase), *times])

    def papillary_words(self, structure: Structure) -> str:
        """What the labels of a structure do with the papillary muscles; measuring may do otherwise and says so."""
        if self.identity.model is None:
            return "papillary muscles and trabeculae as in the labels that were given"
        return f"papillary muscles and trabeculae {'excluded' if structure is MYO else 'included'}"

    def finish(self, result: Dataset) -> None:
        """Who contributed, and no attribute that would differ when the same result is written again."""
        result.ContributingEquipmentSequence = self.identity.contributing_equipment(self.head)
        result.pop("InstanceCreationDate", None)
        result.pop("InstanceCreationTime", None)
        if self.head.get("TimezoneOffsetFromUTC"):
            result.TimezoneOffsetFromUTC = self.head.TimezoneOffsetFromUTC


def _roles(phase: Phase) -> list[str]:
    return [" and ".join(phase.roles)] if phase.roles else []


def _require_dicom(segmented: SegmentedCine) -> None:
    cine = segmented.cine
    if cine.dicom is None:
        raise InvalidInputError(f"DICOM results need a cine that was read from DICOM; {cine.path.name} is none")
    wanted = cine.image.shape
    if segmented.labels.shape != wanted:
        raise InvalidInputError(f"wanted labels of the cine's shape {wanted}, got {segmented.labels.shape}")
    if segmented.labels.max(initial=0) > 3:
        raise InvalidInputError(f"wanted labels 0 to 3, found {segmented.labels.max()}")
    frames = tuple(len(phase) for phase in cine.dicom.frames)
    if frames != (wanted[1],) * wanted[0]:
        raise InvalidInputError(f"wanted {wanted[0]} phases of {wanted[1]} source frames each, got {frames}")
