"""DICOM results of a cine that was read from DICOM: SEG, SR, and on request LABELMAP SEG and RTSTRUCT.

Importing this needs no DICOM library; writing needs pydicom and highdicom (``pip install "cardiacseg[dicom]"``).
"""

from dataclasses import dataclass
from pathlib import Path

from cardiacseg.errors import DicomError, InvalidInputError
from cardiacseg.io.cine import Cine, Note, SegmentedCine
from cardiacseg.io.dicom.errors import N_NO_DICOM_RESULTS
from cardiacseg.measurements import Measurements

PHASES = ("ed-es", "all")
_STEP = 10  # of the series numbers of adjacent phases
_LARGEST_NUMBER = 2**31 - 1 - _STEP * 200_000  # leaves room for the phases of any cine


@dataclass(frozen=True)
class DicomResultOptions:
    """``phases``: ``"ed-es"`` (the measured ones) or ``"all"``; a cine of one phase has only that one.

    ``labelmap`` and ``rtstruct`` add files to SEG and SR. ``series_number`` is that of the SR's series, the next
    number is the RTSTRUCT's; :func:`phase_series_number` gives those of SEG and LABELMAP. Raises
    ``InvalidInputError`` for any other value.
    """

    phases: str = "ed-es"
    labelmap: bool = False
    rtstruct: bool = False
    series_number: int = 9000

    def __post_init__(self):
        if self.phases not in PHASES:
            raise InvalidInputError(f"phases of DICOM results must be {' or '.join(PHASES)}, got {self.phases!r}")
        if not (isinstance(self.series_number, int) and 1 <= self.series_number <= _LARGEST_NUMBER):
            raise InvalidInputError(
                f"series number must be a whole number from 1 to {_LARGEST_NUMBER}, got {self.series_number!r}"
            )


@dataclass(frozen=True)
class Phase:
    """A phase with a SEG: its index from 0, the end of its files' names (from 1), and its roles in the measurements.

    ``roles`` holds some of ``"ED"``, ``"ES"``, ``"RV ED"`` and ``"RV ES"``; the latter two only if the RV has its own
    phases.
    """

    index: int
    name: str
    roles: tuple[str, ...]


def chosen_phases(measurements: Measurements, options: DicomResultOptions) -> tuple[Phase, ...]:
    """The phases that the options ask for, in order of time."""
    frames = len(measurements.lv_ml)
    roles = _roles(measurements) if frames > 1 else {}
    if options.phases == "all" or frames == 1:
        return tuple(Phase(t, f"phase-{t + 1:02}", tuple(roles.get(t, ()))) for t in range(frames))
    return tuple(Phase(t, roles[t][0].lower().replace(" ", "-"), tuple(roles[t])) for t in sorted(roles))


def phase_series_number(first: int, phase: Phase, kind: str) -> int:
    """Series number of the SEG (``kind`` ``"BINARY"``) or ``"LABELMAP"`` of a phase; it depends only on the arguments.

    Each is a separate series, because viewers open only one SEG of a series.
    """
    return first + _STEP * (phase.index + 1) + (kind == "LABELMAP")


def _roles(measurements: Measurements) -> dict[int, list[str]]:
    frames = {
        "ED": measurements.ed_frame,
        "ES": measurements.es_frame,
        "RV ED": measurements.rv_ed_frame,
        "RV ES": measurements.rv_es_frame,
    }
    found: dict[int, list[str]] = {}
    for role, frame in frames.items():
        of_frame = found.setdefault(frame, []) if frame is not None else []
        if role.removeprefix("RV ") not in of_frame:
            of_frame.append(role)
    return found


def result_names(measurements: Measurements, options: DicomResultOptions) -> list[str]:
    """Names of the files that :func:`~cardiacseg.io.dicom_results.write_dicom_results` writes, in their order."""
    phases = chosen_phases(measurements, options)
    names = [f"seg-{phase.name}.dcm" for phase in phases]
    if options.labelmap:
        names += [f"labelmap-{phase.name}.dcm" for phase in phases]
    return [*names, "sr.dcm", *(["rtstruct.dcm"] if options.rtstruct else [])]


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
