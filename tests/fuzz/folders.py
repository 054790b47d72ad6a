"""Folders, zips and DICOMDIRs that were made to do harm, or hold what is no file at all."""

import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
from damage import Case, cuts, flips
from dicom_base import alone, classic_files, encoded, enhanced_file, in_study, new_random
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

_DICOM_START = bytes(128) + b"DICM"


def folder_cases(seed: int, count: int) -> Iterator[Case]:
    generator = new_random(seed, "folders")
    yield from _special_files()
    yield from _zips()
    packed = _packed({f"IM{index}": content for index, content in enumerate(classic_files())})
    yield Case("zip, whole", _zip(packed))
    yield from cuts("zip", packed, _zip, [generator.randrange(len(packed)) for _ in range(count)])
    yield from flips("zip", packed, _zip, generator, count)
    yield from _directories()


def _special_files() -> Iterator[Case]:
    """Beside a whole study: what must not be opened, or leads in circles, or cannot be named."""
    makers: dict[str, Callable[[Path], object]] = {
        "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
        "a socket": lambda folder: socket.socket(socket.AF_UNIX).bind(os.path.relpath(folder / "socket")),
        "a link to an endless device": lambda folder: os.symlink("/dev/zero", folder / "zero"),
        "a link to the folder": lambda folder: os.symlink(folder, folder / "again"),
        "a link to the root": lambda folder: os.symlink("/", folder / "root"),
        "a link to itself": lambda folder: os.symlink(folder / "self", folder / "self"),
        "a link to nothing": lambda folder: os.symlink("/nowhere/at/all", folder / "nothing"),
        "a name that is no UTF-8": lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe\n")).write_bytes(
            classic_files()[0][:300]
        ),
        "a deep folder": lambda folder: (folder / "/".join(["d"] * 200)).mkdir(parents=True),
        "an empty file": lambda folder: (folder / "empty.dcm").touch(),
        "a preamble": lambda folder: (folder / "start.dcm").write_bytes(_DICOM_START),
        "a large hole behind a preamble": lambda folder: _hole(folder / "hole.dcm", _DICOM_START, 3 << 30),
        "a hole behind a preamble": lambda folder: _hole(folder / "hole.dcm", _DICOM_START, 1 << 30),
        "a hole in a header": lambda folder: _hole(folder / "hole.dcm", classic_files()[7][:900], 1 << 30),
        "a hole in the pixels": lambda folder: _hole(folder / "hole.dcm", classic_files()[7][:-1000], 1 << 30),
    }
    for name, make in makers.items():

        def beside(folder, make=make):
            in_study(classic_files()[5])(folder)
            make(folder)
            return folder

        yield Case(f"study with {name}", beside)
        yield Case(f"{name} alone", lambda folder, make=make: (make(folder), folder)[1])
    yield Case("a pipe as the input", lambda folder: (os.mkfifo(folder / "pipe"), folder / "pipe")[1])
    yield Case("a device as the input", lambda folder: Path("/dev/zero"))
    yield Case("nothing there", lambda folder: folder / "absent")
    yield Case("an empty list", lambda folder: [])


def _hole(path: Path, start: bytes, length: int) -> None:
    """A file that begins and then was never written: zeros, which take no place on disk."""
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(length)


def _zip(content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "study.zip").write_bytes(content)
        return folder / "study.zip"

    return make


def _packed(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _zips() -> Iterator[Case]:
    study = {f"IM{index}": content for index, content in enumerate(classic_files())}
    yield Case("zip, empty", _zip(_packed({})))
    yield Case("zip in a zip", _zip(_packed({"inner.zip": _packed(study)})))
    outside = {f"../../outside{index}": content for index, content in enumerate(classic_files())}
    yield Case("zip, names that leave the folder", _zip(_packed(outside)))
    yield Case("zip, absolute names", _zip(_packed({f"/tmp/{name}": content for name, content in study.items()})))
    encrypted = bytearray(_packed(study))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = encrypted.find(mark)
        while place >= 0:
            encrypted[place + at] |= 1
            place = encrypted.find(mark, place + 1)
    yield Case("zip, encrypted", _zip(bytes(encrypted)))
    yield Case("zip, unknown compression", _zip(_packed(study).replace(b"\x14\0\0\0\x08\0", b"\x14\0\0\0\x63\0")))
    yield Case("zip bomb of one entry", _zip(_bomb(_DICOM_START, 640 << 20, 1)))
    yield Case("zip bomb that hides its size", _zip(_bomb(_DICOM_START, 640 << 20, 1, said=1000)))
    yield Case("zip bomb of 3000 entries in one place", _zip(_bomb(_DICOM_START, 16 << 20, 3000)))
    instance = enhanced_file()
    yield Case("zip bomb of 500 instances with padding", _zip(_bomb(instance, 64 << 20, 500)))


def _bomb(start: bytes, length: int, entries: int, said: int | None = None) -> bytes:
    """A zip of which all entries are the same few bytes, which unpack to ``start`` and zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts, checksum, left = [packer.compress(start)], zlib.crc32(start), length - len(start)
    while left > 0:
        block = bytes(min(left, 1 << 22))
        parts.append(packer.compress(block))
        checksum, left = zlib.crc32(block, checksum), left - len(block)
    packed = b"".join(parts) + packer.flush()
    sizes = struct.pack("<III", checksum, len(packed), said or length)
    name = b"n"
    local = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0) + name + packed
    listed = b"".join(
        b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes + struct.pack("<HHHHHII", 8, 0, 0, 0, 0, 0, 0)
        + f"{index:08}".encode()
        for index in range(entries)
    )  # fmt: skip
    end = struct.pack("<HHHHIIH", 0, 0, entries, entries, len(listed), len(local), 0)
    return local + listed + b"PK\5\6" + end


@pydicom.config.disable_value_validation()
def _directory(*names: list[str] | str) -> bytes:
    """A DICOMDIR whose records name these files, and whose offsets lead in circles."""
    directory = Dataset()
    directory.FileSetID = "TEST"
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 400
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 400
    directory.FileSetConsistencyFlag, directory.DirectoryRecordSequence = 0, []
    for name in names:
        record = Dataset()
        record.OffsetOfTheNextDirectoryRecord = record.OffsetOfReferencedLowerLevelDirectoryEntity = 400
        record.RecordInUseFlag, record.DirectoryRecordType, record.ReferencedFileID = 0xFFFF, "IMAGE", name
        directory.DirectoryRecordSequence.append(record)
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return encoded(directory)


def _directories() -> Iterator[Case]:
    outside = ["..", "..", "etc", "passwd"]
    lists = {
        "names a file outside": [outside],
        "names an absolute path": ["/etc/passwd", ["", "etc", "passwd"]],
        "names itself": ["DICOMDIR"] * 100,
        "names a file 2000 times": ["IM0000"] * 2000,
        "names what is not there": [["A", "B", "C"]],
        "names nothing": [],
        "names a link that leads outside": ["LINK"],
        "names odd things": ["", ".", "..", "A\nB", "CON", "*", "~", "X" * 5000],
    }
    for name, names in lists.items():

        def make(folder, names=names):
            alone(enhanced_file())(folder)
            os.symlink("/etc/passwd", folder / "LINK")
            (folder / "DICOMDIR").write_bytes(_directory(*names))
            return folder / "DICOMDIR"

        yield Case(f"DICOMDIR {name}", make)
    content = _directory("IM0000")
    generator = new_random(0, "directory")

    def damaged(content):
        def make(folder):
            alone(enhanced_file())(folder)
            (folder / "DICOMDIR").write_bytes(content)
            return folder / "DICOMDIR"

        return make

    yield from cuts("DICOMDIR", content, damaged, list(range(0, len(content), 40)))
    yield from flips("DICOMDIR", content, damaged, generator, 20)
