"""What a path holds, told from its first bytes."""

import struct
from pathlib import Path
from typing import Literal

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.nifti_bytes import is_half_of_pair

Kind = Literal["nifti", "dicom", "zip", "folder"]

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd")
# sizeof_hdr of NIfTI-1 (and Analyze) and NIfTI-2, in both byte orders
_HEADER_SIZES = {struct.pack(order + "i", size) for order in "<>" for size in (348, 540)}
# DICOM without a preamble begins with group 2 or 8; files of old systems do.
_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")


def kind_of(path: str | Path) -> Kind:
    """Raises ``InvalidInputError`` for what is not there or is none of these."""
    path = Path(path)
    if path.is_dir():
        return "folder"
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; wanted a NIfTI file, or a DICOM study: folder, zip or file")
    kind = "nifti" if is_half_of_pair(path) else _kind_of_start(_start(path), path.name)
    if kind is None:
        raise InvalidInputError(f"{path} is neither NIfTI nor DICOM, nor a zip of DICOM files")
    return kind


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(132)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read ({error.strerror})") from error


def _kind_of_start(start: bytes, name: str) -> Kind | None:
    if start[128:] == b"DICM":
        return "dicom"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if start.startswith(_COMPRESSED) or start[:4] in _HEADER_SIZES or ".nii" in name.lower():
        return "nifti"
    return "dicom" if start.startswith(_GROUPS) else None
