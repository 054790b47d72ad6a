"""UIDs that are the same when the same results are written again, and what the files say about who made them."""

import hashlib
import json
import uuid
from collections.abc import Sequence

import highdicom
from highdicom import ContributingEquipment
from pydicom import Dataset
from pydicom.sr.codedict import codes

from cardiacseg import _core
from cardiacseg.io.report import RESEARCH_USE
from cardiacseg.segmented_cine import SegmentedCine

MANUFACTURER = "cardiacseg"


class Identity:
    """Names what is written by what it is made of: sources, model, labels and versions of the libraries that write it.

    UIDs are ``2.25`` with a UUID from the SHA-256 of all that. Other labels, another model or another version give
    other UIDs, so that no two different instances share one.
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
        """The UID of what ``parts``, which JSON can hold, tell apart from all else that is made of the same."""
        return made_uid(self._seed, *parts)

    @property
    def device_uid(self) -> str:
        """Of the model and version, whatever was segmented."""
        return made_uid("device", self.model_digest, self.version)

    @property
    def serial_number(self) -> str:
        """Stands for the build: the model's digest, or the version where no model ran."""
        return self.model_digest or self.version

    @property
    def equipment(self) -> dict[str, str]:
        """Highdicom's arguments of the General Equipment module, and that the content is for research."""
        return {
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": "cardiacseg",
            "software_versions": self.version,
            "device_serial_number": self.serial_number,
            "content_qualification": "RESEARCH",
        }

    @property
    def made_by(self) -> str:
        """In words: the model and its version, or that no model ran."""
        if self.model is None:
            return "labels were given by the caller; how they were made is not known here"
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
        library = ContributingEquipment.for_highdicom()
        del library.ContributionDateTime  # the same input gives the same bytes
        return [acquisition, processing, library]


def made_uid(*parts: object) -> str:
    """``2.25`` with a UUID from the SHA-256 of ``parts``, which JSON can hold: the same parts give the same UID."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
