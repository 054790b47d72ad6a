"""DICOM results of a cine that was read from DICOM: SEG, SR, and on request LABELMAP SEG and RTSTRUCT.

Importing this needs no DICOM library; writing needs pydicom and highdicom (``pip install "cardiacseg[dicom]"``).
"""

from pathlib import Path

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.dicom_results.options import DicomResultOptions, result_names
from cardiacseg.segmented_cine import SegmentedCine

__all__ = ["DicomResultOptions", "result_names", "write_dicom_results"]

_DEFAULTS = DicomResultOptions()


def write_dicom_results(
    folder: str | Path, segmented: SegmentedCine, options: DicomResultOptions = _DEFAULTS
) -> list[str]:
    """Write the DICOM results into ``folder``, which exists, and give the files' names: :func:`result_names`.

    Each file appears whole or not at all. The same input, model, version and options give the same bytes again.
    Raises ``InvalidInputError`` for a cine that was not read from DICOM, for labels of another grid than its own, for
    wrong options and where a library is missing, all before anything is written; ``OSError`` where writing fails.
    """
    try:
        from cardiacseg.io.dicom_results.write import write_all
    except ImportError as error:
        raise InvalidInputError(f'DICOM results need pip install "cardiacseg[dicom]": {error}') from error
    return write_all(Path(folder), segmented, options)
