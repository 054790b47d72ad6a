"""Reading one file up to its pixels, checking that the pixels are complete, and attributes as plain values."""

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import BinaryIO

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator, read_dataset, read_partial
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom.errors import E_DAMAGED, E_TRUNCATED
from cardiacseg.io.dicom.sources import File, inflate
from cardiacseg.io.file_kind import is_dicom_start

_MARK_BYTES = 132
# pydicom cannot tell whether a private transfer syntax is compressed.
NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
_PIXEL_TAGS = {struct.pack("<HH", 0x7FE0, element) for element in (8, 9, 0x10)}
_PIXEL_TAGS |= {struct.pack(">HH", 0x7FE0, element) for element in (8, 9, 0x10)}
_ZEROS, _PIXELS_OR_ZEROS = frozenset({0}), frozenset({0, 0x7FE00008, 0x7FE00009, 0x7FE00010})
_UNDEFINED = 0xFFFFFFFF
_ITEM, _END_OF_ITEMS = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@cache
def _tag(name: str | tuple[int, int]) -> BaseTag:
    """The tag, cached: there are many frames, and pydicom is slow for absent attributes."""
    return Tag(name)


def value(dataset: Dataset, name: str | tuple[int, int]) -> object:
    """pydicom's value of an attribute, by its keyword or, without one, by its group and element."""
    try:
        found = dataset.get(_tag(name))
        return found.value if isinstance(found, DataElement) else found
    # A value is parsed when it is read, and pydicom raises almost any error for a damaged one.
    except Exception:
        return None


def numbers(dataset: Dataset, name: str | tuple[int, int], count: int) -> tuple[float, ...] | None:
    """``count`` finite numbers, whichever type of value (VR) holds them; a decimal comma is a decimal point."""
    found = value(dataset, name)
    found = _as_written(dataset, name) if found is None else found
    try:
        read = tuple(map(_float, _parts(found)))
    except (TypeError, ValueError, OverflowError):
        return None
    return read if len(read) == count and all(map(math.isfinite, read)) else None


def has_decimal_comma(dataset: Dataset, name: str) -> bool:
    """Whether a number has a decimal comma, which DICOM does not allow; it is read nevertheless."""
    return any(isinstance(part, str) and "," in part for part in _parts(_as_written(dataset, name)))


def _as_written(dataset: Dataset, name: str | tuple[int, int]) -> object:
    """The value of an attribute that pydicom cannot convert to a number, as text or bytes; else ``None``."""
    try:
        element = dataset.get_item(name)
    except Exception:  # as in value()
        return None
    return element.value if isinstance(element, RawDataElement) else value(dataset, name)


def _parts(found: object) -> Iterable[object]:
    """The values of an attribute; text types (UT, ...) that hold numbers have backslashes between them."""
    text = found.decode("latin-1") if isinstance(found, bytes) else found
    return text.rstrip("\0").split("\\") if isinstance(text, str) else found if _is_list(found) else [found]


def _float(part: object) -> float:
    return float(part.replace(",", ".") if isinstance(part, str) else part)


def number(dataset: Dataset, name: str | tuple[int, int]) -> float | None:
    """One finite number."""
    read = numbers(dataset, name, 1)
    return None if read is None else read[0]


def whole(dataset: Dataset, name: str | tuple[int, int]) -> int | None:
    """One number without its fraction."""
    read = number(dataset, name)
    return None if read is None else int(read)


def text(dataset: Dataset, name: str | tuple[int, int]) -> str:
    """Text without spaces at its ends; several values with backslashes between, as in the file; "" if absent."""
    found = value(dataset, name)
    if found is None or isinstance(found, (bytes, Dataset)):
        return ""
    return (found if isinstance(found, str) else "\\".join(map(str, found)) if _is_list(found) else str(found)).strip()


def words(dataset: Dataset, name: str) -> tuple[str, ...]:
    """The values of a code string in capitals."""
    return tuple(word.strip().upper() for word in text(dataset, name).split("\\"))


def items(dataset: Dataset, name: str | tuple[int, int]) -> Sequence[Dataset]:
    """Items of a sequence, not copied: there may be one for each of many thousand frames."""
    found = value(dataset, name)
    return found if isinstance(found, DicomSequence) else []


def first_item(dataset: Dataset, name: str | tuple[int, int]) -> Dataset | None:
    """The first item of a sequence."""
    return item_at(dataset, name, 0)


def item_at(dataset: Dataset, name: str | tuple[int, int], index: int) -> Dataset | None:
    """One item of a sequence, ``None`` if there are fewer."""
    found = items(dataset, name)
    return found[index] if index < len(found) else None


def _is_list(found: object) -> bool:
    return hasattr(found, "__iter__") and not isinstance(found, (str, bytes, Dataset))


@dataclass(frozen=True)
class Header:
    """A file's dataset without pixels, its kind, and the fault of its pixels, if there is one."""

    dataset: Dataset
    sop_class_uid: str
    problem: DicomError | None


def read_header(file: File, tags: list[str], images: set[str]) -> Header | None:
    """The attributes ``tags`` of a file, or ``None`` if it is not DICOM.

    The pixels are checked if the SOP class is one of ``images``. Raises ``DicomError`` for a file that begins as DICOM
    and cannot be read up to its pixels.
    """
    with file.open() as stream:
        beginning = stream.read(_MARK_BYTES)
        if not is_dicom_start(beginning):
            return None
        marked = beginning.endswith(b"DICM")
        stream.seek(_MARK_BYTES if marked else 0)
        syntax = _check_deflated(file, stream)
        dataset = parse(file, stream, tags)
        sop_class = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")
        if not sop_class and not marked:
            return None
        if not sop_class:
            raise DicomError(E_TRUNCATED, f"{file.name} ends before its header says what it holds")
        syntax = UID(syntax or _guessed_syntax(dataset))
        problem = _pixel_problem(file, stream, dataset, syntax) if sop_class in images else None
        return Header(dataset, sop_class, problem)


def read_damaged(file: File, tags: list[str]) -> Dataset:
    """The readable attributes, up to the damage, of a file that :func:`read_header` refuses."""
    read = Dataset()
    try:
        with file.open() as stream:
            stream.seek(_MARK_BYTES if stream.read(_MARK_BYTES).endswith(b"DICM") else 0)
            meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
            syntax = text(meta, "TransferSyntaxUID")
            order = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
            chosen = [_tag(tag) for tag in tags]
            for element in data_element_generator(stream, *order, partial(_ends, True), specific_tags=chosen):
                if element.length == len(element.value or b""):  # else the file ends within it
                    read[element.tag] = element
    # pydicom raises almost any error for a damaged file.
    except Exception:
        pass
    return read


def parse(file: File, stream: BinaryIO, tags: list[str] | None = None) -> Dataset:
    """The file's dataset; if ``tags`` are given, only these, before its pixels.

    Ends at the first zeros between attributes, because an unfinished file may hold a gigabyte of them. Raises
    ``DicomError`` if pydicom cannot parse it.
    """
    stream.seek(0)
    try:
        chosen = None if tags is None else [_tag(tag) for tag in tags]
        return read_partial(stream, partial(_ends, tags is not None), force=True, specific_tags=chosen)
    except DicomError:
        raise
    # pydicom raises almost any error for a damaged file.
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{file.name} begins as DICOM and cannot be parsed") from error


def _ends(before_pixels: bool, tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag in (_PIXELS_OR_ZEROS if before_pixels else _ZEROS)


def parse_whole(file: File) -> Dataset:
    """A file's dataset with its pixels; its file header names the transfer syntax even if the file has none."""
    with file.open() as stream:
        dataset = parse(file, stream)
    if not text(dataset.file_meta, "TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = UID(_guessed_syntax(dataset))
    return dataset


def _guessed_syntax(dataset: Dataset) -> str:
    """The transfer syntax of a file without a file header, as pydicom found it."""
    little, implicit = dataset.original_encoding[1], dataset.original_encoding[0]
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _check_deflated(file: File, stream: BinaryIO) -> str:
    """The transfer syntax, "" if there is no file header; a deflated dataset is within its limit."""
    try:
        meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
        syntax = text(meta, "TransferSyntaxUID")
        if syntax == DeflatedExplicitVRLittleEndian:
            inflate(stream, file.name, file.budget)
        elif stream.read(4) == bytes(4):
            raise DicomError(E_DAMAGED, f"{file.name} holds zeros where its attributes should begin")
        return syntax
    except DicomError:
        raise
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{file.name} begins as DICOM and its file header cannot be parsed") from error


def _pixel_problem(file: File, stream: BinaryIO, dataset: Dataset, syntax: UID) -> DicomError | None:
    """The fault of the pixel data that begin at the position of ``stream``; ``None`` if they are complete."""
    if syntax == DeflatedExplicitVRLittleEndian:
        return None  # the stream is at another position; decoding finds faults
    if stream.read(4) not in _PIXEL_TAGS:
        # The header may be cut too, so its attributes are not reliable.
        raise DicomError(E_TRUNCATED, f"{file.name} ends before its pixel data")
    length = _length(stream, syntax)
    if length is None:
        return DicomError(E_TRUNCATED, f"{file.name} ends within the length of its pixel data")
    if length == _UNDEFINED:
        return _fragments_problem(file, stream)
    start = stream.tell()
    there = min(length, stream.seek(0, 2) - start)
    expected = max(length, _native_bytes(dataset) if syntax in NATIVE else 0)
    if there < expected:
        return DicomError(E_TRUNCATED, f"{file.name} has {there} of {expected} bytes of pixel data")
    return None


def _length(stream: BinaryIO, syntax: UID) -> int | None:
    size = 4 if syntax == ImplicitVRLittleEndian else 8
    rest = stream.read(size)
    return struct.unpack(">I" if syntax == ExplicitVRBigEndian else "<I", rest[-4:])[0] if len(rest) == size else None


def _native_bytes(dataset: Dataset) -> int:
    frames = whole(dataset, "NumberOfFrames") or 1
    sizes = [whole(dataset, name) or 0 for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")]
    rows, columns, samples, bits = sizes
    return max(0, frames * rows * columns * samples * bits // 8)


def _fragments_problem(file: File, stream: BinaryIO) -> DicomError | None:
    """Check the fragments of compressed pixel data up to the delimiter after the last."""
    count = 0
    while len(head := stream.read(8)) == 8 and head[:4] == _ITEM:
        count += 1
        if count > file.budget.limits.fragments:
            text = f"expected at most {file.budget.limits.fragments} fragments of pixel data, got more in {file.name}"
            return file.budget.refusal(text)
        stream.seek(int.from_bytes(head[4:], "little"), 1)
    is_whole = len(head) == 8 and head[:4] == _END_OF_ITEMS
    return None if is_whole else DicomError(E_TRUNCATED, f"{file.name} ends within its compressed pixel data")
