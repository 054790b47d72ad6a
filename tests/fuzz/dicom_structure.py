"""Nesting, compressed pixel data and compressed datasets that were made to do harm."""

import io
import struct
import zlib
from collections.abc import Iterator

import pydicom
from damage import Case
from dicom_base import DAMAGED, alone, classic_files, encoded, in_study, reencoded
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

_SEQUENCE, _ITEM = struct.pack("<HH", 0x0008, 0x1140), struct.pack("<HH", 0xFFFE, 0xE000)
_NO_END = struct.pack("<I", 0xFFFFFFFF)


def nesting_cases() -> Iterator[Case]:
    """Sequences in sequences, with and without ends and lengths."""
    content = classic_files()[DAMAGED]
    for depth in (50, 900, 20_000, 200_000):
        opening = (_SEQUENCE + b"SQ\0\0" + _NO_END + _ITEM + _NO_END) * depth
        yield Case(f"{depth} sequences that never end", in_study(_inserted(content, opening)))
        closing = (struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)) * depth
        yield Case(f"{depth} sequences deep", in_study(_inserted(content, opening + closing)))
    yield Case("400 sequences deep, with lengths", in_study(_inserted(content, _with_lengths(400))))
    items = (_ITEM + struct.pack("<I", 0)) * 300_000
    many = _SEQUENCE + b"SQ\0\0" + struct.pack("<I", len(items)) + items
    yield Case("300000 empty items", in_study(_inserted(content, many)))
    yield Case("the same element 20000 times", in_study(_inserted(content, b"\x08\0\x16\x11LO\2\0ab" * 20_000)))


def pixel_cases() -> Iterator[Case]:
    """Compressed pixel data with broken fragments, and pictures that claim to be enormous."""
    for syntax, frame in _frames():
        for name, data in _encapsulations(frame):
            dataset = pydicom.dcmread(io.BytesIO(classic_files()[DAMAGED]))
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.PixelData = data
            dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
            yield Case(f"{syntax.name}: {name}", in_study(encoded(dataset)))


def deflated_cases() -> Iterator[Case]:
    """A deflated dataset that grows a thousandfold, one that is cut, and one that is noise."""
    dataset = pydicom.dcmread(io.BytesIO(classic_files()[DAMAGED]))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    head = encoded(dataset)
    head = head[: 132 + 12 + struct.unpack("<I", head[140:144])[0]]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    grown = b"".join(packer.compress(bytes(1 << 24)) for _ in range(40)) + packer.flush()
    yield Case("deflated, 640 MiB of zeros", alone(head + grown))
    yield Case("deflated, cut", alone(head + grown[:1000]))
    yield Case("deflated, noise", alone(head + bytes(range(256)) * 10))


def _inserted(content: bytes, element: bytes) -> bytes:
    """The element in front of those of group 10."""
    at = content.index(b"\x10\0\x10\0PN")
    return content[:at] + element + content[at:]


def _with_lengths(depth: int) -> bytes:
    value = b""
    for _ in range(depth):
        item = _ITEM + struct.pack("<I", len(value)) + value
        value = _SEQUENCE + b"SQ\0\0" + struct.pack("<I", len(item)) + item
    return value


def _frames() -> Iterator[tuple[pydicom.uid.UID, bytes]]:
    """One compressed frame for each syntax: as it should be, or with sizes that no file can hold."""
    for syntax, encoding in ((RLELossless, "RLE"), (JPEG2000Lossless, "JPEG 2000")):
        dataset = pydicom.dcmread(io.BytesIO(reencoded(classic_files()[DAMAGED], encoding)))
        yield syntax, next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    for syntax in (JPEGBaseline8Bit, JPEGLSLossless):
        yield syntax, bytes.fromhex("ffd8ffc0000b08fffffff001011100ffda0008010100003f00") + bytes(64)


def _encapsulations(frame: bytes) -> Iterator[tuple[str, bytes]]:
    whole = encapsulate([frame])
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    yield "no fragment", item
    yield "empty fragment", item + item
    yield "fragment cut", encapsulate([frame[: len(frame) // 2]])
    yield "fragments of one byte", encapsulate([frame], fragments_per_frame=min(len(frame) // 2, 100))
    yield "offset table absurd", struct.pack("<HHII", 0xFFFE, 0xE000, 4, 0xFFFFFFFE) + whole[12:]
    yield "fragment length absurd", item + _ITEM + struct.pack("<I", 0xFFFFFFFE) + frame
    yield "fragment without a length", item + _ITEM + _NO_END + frame
    yield "two frames", encapsulate([frame, frame])
    yield "noise", encapsulate([bytes((index * 37) & 255 for index in range(512))])
    yield "sizes absurd", encapsulate([_enormous(frame)])
    yield "RLE segments absurd", encapsulate([struct.pack("<16I", 15, *[0xFFFFFFF0] * 15) + bytes(64)])
    yield "RLE runs only", encapsulate([struct.pack("<16I", 2, 64, 70, *[0] * 13) + b"\x81\x01" * 50_000])


def _enormous(frame: bytes) -> bytes:
    """A JPEG 2000 header (SIZ) with a width and height of 2^31 - 1; other frames are left as they are."""
    at = frame.find(b"\xff\x51")
    return frame[: at + 6] + struct.pack(">II", 0x7FFFFFFF, 0x7FFFFFFF) + frame[at + 14 :] if at >= 0 else frame
