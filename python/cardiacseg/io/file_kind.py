"""The kind of a file, recognized by its first bytes."""

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.nifti_bytes import is_half_of_pair

Kind = Literal["nifti", "dicom", "zip", "tar", "folder"]

START_BYTES = 512
_OPENERS = {b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file), b"BZh": bz2.BZ2File, b"\xfd7zXZ\0": lzma.LZMAFile}
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
# sizeof_hdr of NIfTI-1 (and Analyze) and NIfTI-2, in both byte orders
_HEADER_SIZES = {struct.pack(order + "i", size) for order in "<>" for size in (348, 540)}
# DICOM without a preamble begins with group 2 or 8; files of old systems do.
_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")


def kind_of(path: str | Path) -> Kind:
    """The kind of the content of ``path``; a compressed file has the kind of its content.

    Raises ``InvalidInputError`` if it does not exist or is of another kind.
    """
    path = Path(path)
    if path.is_dir():
        return "folder"
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; expected a NIfTI file, or a DICOM study: folder, zip or file")
    kind = "nifti" if is_half_of_pair(path) else _kind_of_start(*_starts(path), path.name)
    if kind is None:
        raise InvalidInputError(f"{path} is neither NIfTI nor DICOM, nor a zip or tar of such files")
    return kind


def _starts(path: Path) -> tuple[bytes, bytes]:
    """First bytes as stored, and decompressed; the latter are empty if the file is damaged or not compressed."""
    try:
        with open(path, "rb") as file:
            start = file.read(START_BYTES)
            opener = decompressor(start)
            file.seek(0)
            return start, b"" if opener is None else _first(opener(file))
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read ({error.strerror})") from error


def _first(file: BinaryIO) -> bytes:
    try:
        return file.read(START_BYTES)
    except Exception:  # each compression raises errors of its own; the reader of the file reports the damage
        return b""


def _kind_of_start(start: bytes, inside: bytes, name: str) -> Kind | None:
    if start[128:132] == b"DICM":
        return "dicom"
    if is_zip_start(start):
        return "zip"
    if is_tar_start(start) or is_tar_start(inside):
        return "tar"
    if is_dicom_start(inside):
        return "dicom"
    if inside or decompressor(start) or start.startswith(_ZSTANDARD) or is_nifti_start(start) or ".nii" in name.lower():
        return "nifti"
    return "dicom" if is_dicom_start(start) else None


def is_dicom_start(start: bytes) -> bool:
    """Whether there is DICOM's mark, or, without it, a first element of group 2 or 8."""
    return start[128:132] == b"DICM" or start.startswith(_GROUPS)


def is_nifti_start(start: bytes) -> bool:
    """Whether a file without compression begins as NIfTI does."""
    return start[:4] in _HEADER_SIZES


def is_zip_start(start: bytes) -> bool:
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_tar_start(start: bytes) -> bool:
    return start[257:262] == b"ustar"


def decompressor(start: bytes) -> Callable[[BinaryIO], BinaryIO] | None:
    """The function that unpacks a file with these first bytes; ``None`` if it is not compressed."""
    return next((opener for mark, opener in _OPENERS.items() if start.startswith(mark)), None)
