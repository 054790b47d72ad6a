"""Which study a file belongs to."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from cardiacseg.errors import DicomError
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.bounded_file import open_bounded
from cardiacseg.io.dicom.files import File
from cardiacseg.io.dicom.headers import read_header
from cardiacseg.io.dicom.values import text
from cardiacseg.io.quiet import PYDICOM, quiet

_DICOMDIR = "1.2.840.10008.1.3.10"


def files_by_study(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """The files of each study by its Study Instance UID, the oldest study first.

    A file that does not say its study, because it is damaged, is listed in each; a DICOMDIR in none.
    """
    found: dict[str, list[Path]] = {}
    dates: dict[str, str] = {}
    unknown = []
    budget = Budget(dicom=True)
    for path in paths:
        study, date = _study_and_date(path, budget)
        if study is None:
            continue
        if study:
            found.setdefault(study, []).append(path)
            dates[study] = min(date, dates.get(study, date))
        else:
            unknown.append(path)
    return {study: found[study] + unknown for study in sorted(found, key=lambda study: (dates[study], study))}


def _study_and_date(path: Path, budget: Budget) -> tuple[str | None, str]:
    try:
        with quiet(PYDICOM):
            file = File(path.name, partial(open_bounded, path, budget), budget)
            header = read_header(file, ["StudyInstanceUID", "StudyDate", "StudyTime", "SOPClassUID"], set())
    except (DicomError, OSError):
        return "", ""
    if header is None or header.sop_class_uid == _DICOMDIR:
        return None, ""
    dataset = header.dataset
    return text(dataset, "StudyInstanceUID"), text(dataset, "StudyDate") + text(dataset, "StudyTime")
