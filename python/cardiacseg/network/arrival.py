"""A received instance: what the receiver reads from its header."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import pydicom

from cardiacseg.io.log_suppression import PYDICOM, suppress_logs
from cardiacseg.network.instances import uid_text

# Anonymizers write UIDs with leading zeros, letters and more than 64 characters; such files can be read as well.
_STUDY_UID = re.compile(r"[0-9A-Za-z._-]{1,128}")
_TAGS = ["StudyInstanceUID", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances"]


@dataclass(frozen=True)
class Arrival:
    """A received instance: its UIDs, its bytes, the size of its series by its header (0: unknown), its sender's host.

    ``content`` is a DICOM file (PS3.10).
    """

    study_uid: str
    series_uid: str
    instance_uid: str
    content: bytes
    announced: int = 0
    host: str = ""

    @property
    def names_study(self) -> bool:
        """Whether its Study Instance UID can be used."""
        return _STUDY_UID.fullmatch(self.study_uid) is not None


def read_arrival(source: bytes | Path, host: str = "") -> Arrival:
    """The instance in the bytes of a DICOM file, or in a file, then without its content.

    Its UID is that of the file meta information. pydicom raises errors of many kinds for damaged data.
    """
    content = source if isinstance(source, bytes) else b""
    with suppress_logs(PYDICOM):
        head = pydicom.dcmread(io.BytesIO(content) if content else source, specific_tags=_TAGS, stop_before_pixels=True)
        announced = uid_text(head, "NumberOfSeriesRelatedInstances")
        return Arrival(
            uid_text(head, "StudyInstanceUID"),
            uid_text(head, "SeriesInstanceUID"),
            uid_text(head.file_meta, "MediaStorageSOPInstanceUID"),
            content,
            int(announced) if re.fullmatch("[0-9]{1,9}", announced) else 0,
            host,
        )
