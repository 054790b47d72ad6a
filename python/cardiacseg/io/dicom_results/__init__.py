"""DICOM results of a cine that was read from DICOM: SEG, SR, and on request LABELMAP SEG and RTSTRUCT.

Importing this needs no DICOM library; writing needs pydicom and highdicom (``pip install "cardiacseg[dicom]"``).
"""

from pathlib import Path

from cardiacseg.errors import DicomError, InvalidInputError
from cardiacseg.io.cine import Cine, Note, SegmentedCine
from cardiacseg.io.dicom.errors import N_NO_DICOM_RESULTS
from cardiacseg.io.dicom_results.options import DicomResultOptions, result_names

__all__ = ["DicomResultOptions", "no_results_note", "result_names", "result_notes", "write_dicom_results"]

_DEFAULTS = DicomResultOptions()


def write_dicom_results(
    folder: str | Path, segmented: SegmentedCine, options: DicomResultOptions = _DEFAULTS
) -> list[str]:
    """Write the DICOM results into ``folder``, which exists, and give the files' names: :func:`result_names`.

    Each file appears whole or not at all. The same input, model, version and options give the same bytes again.
    Raises ``DicomError`` if the headers of the sources make no valid results, and ``InvalidInputError`` for a cine
    that was not read from DICOM, for labels of another grid than its own, for wrong options and if a library is
    missing, all before anything is written; ``OSError`` if writing fails.
    """
    return _writing().write_all(Path(folder), segmented, options)


def result_notes(cine: Cine) -> tuple[Note, ...]:
    """What can be known of the DICOM results of a cine before it is segmented.

    That there will be none, and why; or which UIDs and texts of the sources' headers are made or shortened for them.
    """
    try:
        return _writing().check_headers(cine)
    except InvalidInputError as error:
        return (no_results_note(error),)


def no_results_note(error: InvalidInputError) -> Note:
    """The note for what :func:`write_dicom_results` raised."""
    code = f"{error.code}: " if isinstance(error, DicomError) else ""
    return Note(N_NO_DICOM_RESULTS, f"no DICOM results: {str(error).removeprefix(code)}")


def _writing():
    try:
        from cardiacseg.io.dicom_results import write
    except ImportError as error:
        raise InvalidInputError(f'DICOM results need pip install "cardiacseg[dicom]": {error}') from error
    return write
