"""Common parts of all DICOM results of one cine: sources, identity, patient and study attributes, date."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property

import highdicom
from highdicom import ContributingEquipment
from pydicom import Dataset
from pydicom.sr.codedict import codes

from cardiacseg import _core
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import DicomSource, Note, SegmentedCine
from cardiacseg.io.dicom.errors import N_INCOMPLETE, N_LEFT_OUT, N_RESULT_HEADER
from cardiacseg.io.dicom_results import Phase
from cardiacseg.io.dicom_results.codes import MYO, Structure
from cardiacseg.io.dicom_results.sources import (
    as_classic_image,
    complete,
    made_uid,
    moment_of,
    source_head,
    with_series,
)
from cardiacseg.io.json_files import RESEARCH_USE
from cardiacseg.io.log_suppression import silence_highdicom_info

MANUFACTURER = "cardiacseg"
silence_highdicom_info()


class Identity:
    """Identifiers of the results, derived from sources, model, labels and versions of the libraries that write them.

    UIDs are ``2.25`` with a UUID from the SHA-256 of all of these. Other labels, another model or another version give
    other UIDs, so no two different instances share one.
    """

    def __init__(self, segmented: SegmentedCine):
        report = segmented.result.report if segmented.result else None
        self.version = report.version if report else _core.__version__
        self.model = report.model if report else None
        self.model_digest = report.model_digest if report else None
        frames = [
            (frame.sop_instance_uid, frame.frame_number) for phase in segmented.cine.dicom.frames for frame in phase
        ]
        labels = hashlib.sha256(segmented.labels.tobytes()).hexdigest()
        self._seed = json.dumps(
            [frames, segmented.labels.shape, labels, self.model_digest, self.version, highdicom.__version__]
        )

    def uid(self, *parts: object) -> str:
        """The UID of the object that ``parts`` (JSON values) distinguish from others of the same results."""
        return made_uid(self._seed, *parts)

    @property
    def device_uid(self) -> str:
        """The UID of the model and its version; it does not depend on the case."""
        return made_uid("device", self.model_digest, self.version)

    @property
    def serial_number(self) -> str:
        """Identifies the build: the model's digest, or the version if no model ran."""
        return self.model_digest or self.version

    @property
    def equipment(self) -> dict[str, str]:
        """Highdicom's arguments of the General Equipment module, and the statement that the content is for research."""
        return {
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": "cardiacseg",
            "software_versions": self.version,
            "device_serial_number": self.serial_number,
            "content_qualification": "RESEARCH",
        }

    @property
    def made_by(self) -> str:
        """The model and its version in words, or the statement that no model ran."""
        if self.model is None:
            return "labels were given by the caller; their origin is unknown"
        return f"model {self.model} (SHA-256 {self.model_digest}), cardiacseg {self.version}"

    def contributing_equipment(self, scanner: Dataset) -> Sequence[ContributingEquipment]:
        """Scanner (without institution, station and serial number), this software, and highdicom."""
        acquisition = ContributingEquipment(
            scanner.get("Manufacturer") or "unknown",
            codes.DCM.AcquisitionEquipment,
            manufacturer_model_name=scanner.get("ManufacturerModelName") or None,
        )
        processing = ContributingEquipment(
            MANUFACTURER,
            codes.DCM.ProcessingEquipment,
            manufacturer_model_name="cardiacseg",
            software_versions=self.version,
            device_serial_number=self.serial_number,
            contribution_description=f"Segmentation and measurement: {self.made_by}. {RESEARCH_USE}",
        )
        processing.DeviceUID = self.device_uid  # IHE AI Results: another model is another device
        library = ContributingEquipment.for_highdicom()
        del library.ContributionDateTime  # the same input gives the same bytes
        return [acquisition, processing, library]


class Common:
    """One cine's sources, identity, attributes of patient and study, date; ``notes`` name changed attributes.

    Raises ``InvalidInputError`` if no result can be made of the cine.
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
            yield "sources have no SeriesInstanceUID; DICOM results name them with one generated from their UIDs"

    @cached_property
    def classic(self) -> Dataset:
        """The attributes on the cine's grid: :func:`~cardiacseg.io.dicom_results.sources.as_classic_image`."""
        return as_classic_image(self.head, self.segmented.cine)

    @property
    def incomplete(self) -> bool:
        """Whether images of the heart are known to be missing, or were left out."""
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
        """How the labels of a structure treat the papillary muscles; measurements may differ and then say so."""
        if self.identity.model is None:
            return "papillary muscles and trabeculae as in the labels that were given"
        return f"papillary muscles and trabeculae {'excluded' if structure is MYO else 'included'}"

    def finish(self, result: Dataset) -> None:
        """Add the contributors, and remove attributes that differ when the same result is written again."""
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
    shape = cine.image.shape
    if segmented.labels.shape != shape:
        raise InvalidInputError(f"expected labels of the cine's shape {shape}, got {segmented.labels.shape}")
    if segmented.labels.max(initial=0) > 3:
        raise InvalidInputError(f"expected labels 0 to 3, got {segmented.labels.max()}")
    frames = tuple(len(phase) for phase in cine.dicom.frames)
    if frames != (shape[1],) * shape[0]:
        raise InvalidInputError(f"expected {shape[0]} phases of {shape[1]} source frames each, got {frames}")
