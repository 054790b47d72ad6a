"""The files that a DICOMDIR names."""

from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cardiacseg.errors import DicomError
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.bounded_file import inflate, open_bounded
from cardiacseg.io.dicom.errors import E_DAMAGED, E_MISSING_FILE
from cardiacseg.io.quiet import PYDICOM, quiet

_PREAMBLE_BYTES, _ITEM = 132, b"\xfe\xff\x00\xe0"


def files_of_dicomdir(path: Path, budget: Budget) -> list[Path]:
    """Paths of the files in use that the directory at ``path`` names.

    Raises ``DicomError`` where one is not there or would lie outside of the medium.
    """
    found = {parts: _resolve(path.parent, parts) for parts in _file_identifiers(path, budget)}
    missing = ["/".join(parts) for parts, file in found.items() if file is None]
    if missing:
        raise DicomError(
            E_MISSING_FILE,
            f"{path.name} names {len(found)} files, of which {len(missing)} do not lie beside it (first: {missing[0]})",
        )
    return [file for file in found.values() if file is not None]


def _file_identifiers(path: Path, budget: Budget) -> list[tuple[str, ...]]:
    try:
        with quiet(PYDICOM), open_bounded(path, budget) as file:
            _check_size(file, path.name, budget)
            records = pydicom.dcmread(file, specific_tags=["DirectoryRecordSequence"]).DirectoryRecordSequence
            used = [record for record in records if record.get("RecordInUseFlag") != 0]
            named = [record.ReferencedFileID for record in used if record.get("ReferencedFileID")]
    except DicomError:
        raise
    # A damaged file makes pydicom raise almost anything.
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{path.name} is no readable DICOMDIR") from error
    return [(part,) if isinstance(part, str) else tuple(map(str, part)) for part in named]


def _check_size(file: BinaryIO, name: str, budget: Budget) -> None:
    """Count the records before they are parsed, which takes long; there is one, if not more, for each file."""
    budget.check("part_bytes", file.seek(0, 2), name)
    file.seek(_PREAMBLE_BYTES)
    meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    deflated = meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
    content = inflate(file, name, budget) if deflated else file.read()
    budget.check("records", content.count(_ITEM), name)
    file.seek(0)


def _resolve(medium: Path, parts: tuple[str, ...]) -> Path | None:
    """A file's path; media copied from a CD often have small letters where the directory has capitals."""
    for names in (parts, tuple(part.lower() for part in parts)):
        file = medium.joinpath(*names)
        try:
            if file.is_file() and file.resolve().is_relative_to(medium.resolve()):
                return file
        except (OSError, ValueError):
            return None
    return None
