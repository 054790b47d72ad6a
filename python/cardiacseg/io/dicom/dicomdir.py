"""The files that a DICOMDIR names."""

from pathlib import Path

import pydicom

from cardiacseg.errors import DicomError
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.bounded_file import open_bounded
from cardiacseg.io.dicom.errors import E_DAMAGED, E_MISSING_FILE
from cardiacseg.io.quiet import PYDICOM, quiet


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
            records = pydicom.dcmread(file).DirectoryRecordSequence
            used = [record for record in records if record.get("RecordInUseFlag") != 0]
            named = [record.ReferencedFileID for record in used if record.get("ReferencedFileID")]
    except DicomError:
        raise
    # A damaged file makes pydicom raise almost anything.
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{path.name} is no readable DICOMDIR") from error
    return [(part,) if isinstance(part, str) else tuple(map(str, part)) for part in named]


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
