"""Reading one file up to its pixels, and checking that the pixels are all there."""

import struct
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator, read_dataset, read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom.bounded_file import inflate
from cardiacseg.io.dicom.errors import E_DAMAGED, E_TRUNCATED
from cardiacseg.io.dicom.files import File
from cardiacseg.io.dicom.values import text, whole
from cardiacseg.io.file_kind import is_dicom_start

_MARK_BYTES = 132
# pydicom's own question whether a syntax is compressed has no answer for private ones.
NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
_PIXEL_TAGS = {struct.pack("<HH", 0x7FE0, element) for element in (8, 9, 0x10)}
_PIXEL_TAGS |= {struct.pack(">HH", 0x7FE0, element) for element in (8, 9, 0x10)}
_UNDEFINED = 0xFFFFFFFF
_ITEM, _END_OF_ITEMS = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True)
class Header:
    """A file's dataset without pixels, its kind, and what is wrong with its pixels, if anything is."""

    dataset: Dataset
    sop_class_uid: str
    problem: DicomError | None


def read_header(file: File, tags: list[str], images: set[str]) -> Header | None:
    """The attributes ``tags`` of a file, or ``None`` where it is not DICOM.

    The pixels are looked at where the SOP class is one of ``images``. Raises ``DicomError`` for a file that begins as
    DICOM and cannot be read up to its pixels.
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
    """What can be read, up to the damage, of a file that :func:`read_header` refuses."""
    read = Dataset()
    try:
        with file.open() as stream:
            stream.seek(_MARK_BYTES if stream.read(_MARK_BYTES).endswith(b"DICM") else 0)
            meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
            syntax = text(meta, "TransferSyntaxUID")
            order = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
            chosen = [Tag(tag) for tag in tags]
            for element in data_element_generator(stream, *order, partial(_ends, True), specific_tags=chosen):
                if element.length == len(element.value or b""):  # else the file ends within it
                    read[element.tag] = element
    # A damaged file makes pydicom raise almost anything.
    except Exception:
        pass
    return read


def parse(file: File, stream: BinaryIO, tags: list[str] | None = None) -> Dataset:
    """The file's dataset; where ``tags`` are given, these, of what is before its pixels.

    Ends at the first zeros between attributes, since a file that was never written out may hold a gigabyte of them.
    Raises ``DicomError`` where pydicom finds no sense in it.
    """
    stream.seek(0)
    try:
        chosen = None if tags is None else [Tag(tag) for tag in tags]
        return read_partial(stream, partial(_ends, tags is not None), force=True, specific_tags=chosen)
    except DicomError:
        raise
    # A damaged file makes pydicom raise almost anything.
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{file.name} begins as DICOM and cannot be parsed") from error


def _ends(before_pixels: bool, tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag == 0 or (before_pixels and tag in (0x7FE00008, 0x7FE00009, 0x7FE00010))


def parse_whole(file: File) -> Dataset:
    """A file's dataset with its pixels; its file header names the transfer syntax even where the file has none."""
    with file.open() as stream:
        dataset = parse(file, stream)
    if not text(dataset.file_meta, "TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = UID(_guessed_syntax(dataset))
    return dataset


def _guessed_syntax(dataset: Dataset) -> str:
    """Of a file without a file header, as pydicom found it."""
    little, implicit = dataset.original_encoding[1], dataset.original_encoding[0]
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _check_deflated(file: File, stream: BinaryIO) -> str:
    """The transfer syntax, "" where there is no file header; a deflated dataset is within its limit."""
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
    """What is wrong with the pixel data that begin where ``stream`` stands."""
    if syntax == DeflatedExplicitVRLittleEndian:
        return None  # the stream stands elsewhere; decoding will tell
    if stream.read(4) not in _PIXEL_TAGS:
        # Then the header may be cut too, and nothing in it can be trusted.
        raise DicomError(E_TRUNCATED, f"{file.name} ends before its pixel data")
    length = _length(stream, syntax)
    if length is None:
        return DicomError(E_TRUNCATED, f"{file.name} ends within the length of its pixel data")
    if length == _UNDEFINED:
        return _fragments_problem(file, stream)
    start = stream.tell()
    there = min(length, stream.seek(0, 2) - start)
    wanted = max(length, _native_bytes(dataset) if syntax in NATIVE else 0)
    if there < wanted:
        return DicomError(E_TRUNCATED, f"{file.name} has {there} of {wanted} bytes of pixel data")
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
    """Walk the fragments of compressed pixel data up to the mark behind the last."""
    count = 0
    while len(head := stream.read(8)) == 8 and head[:4] == _ITEM:
        count += 1
        if count > file.budget.limits.fragments:
            text = f"expected at most {file.budget.limits.fragments} fragments of pixel data, got more in {file.name}"
            return file.budget.refusal(text)
        stream.seek(int.from_bytes(head[4:], "little"), 1)
    is_whole = len(head) == 8 and head[:4] == _END_OF_ITEMS
    return None if is_whole else DicomError(E_TRUNCATED, f"{file.name} ends within its compressed pixel data")
