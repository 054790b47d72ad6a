"""Which study a file belongs to."""

from pathlib import Path

import pydicom

from cardiacseg.io.quiet import PYDICOM, quiet


def study_of(path: Path) -> str:
    """Study Instance UID of a file, which identifies a patient's examination. Raises what pydicom raises."""
    with quiet(PYDICOM):
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
    return str(header.StudyInstanceUID)
