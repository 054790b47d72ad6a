"""A short-axis cine as it was read, from any file format, and the same cine with the results of a run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiacseg.acquisition import UNKNOWN_BODY, UNKNOWN_TIMING, Body, Timing
from cardiacseg.io.geometry import Geometry, Orientation

if TYPE_CHECKING:
    import nibabel

    from cardiacseg.measurements import Measurements
    from cardiacseg.segmenter import Result

# What a stack of slices has at least to be taken for a cine, and at how many inversion times it is none.
LEAST_SLICES, LEAST_FRAMES, MAPPED_INVERSION_TIMES = 3, 8, 3
# Names of perfusion, maps and late enhancement, in capitals. Supporting evidence only: names are free text, and "perf"
# may occur in any word.
NO_CINE = re.compile(r"PERF|FIRST.?PASS|MOLLI|SASHA|\bT[12].?MAP|_T[12].?MAP|T2.?STAR|LGE|PSIR|TI.?SCOUT|LOOK.?LOCKER")


@dataclass(frozen=True)
class SourceFrame:
    """The source of one slice of one phase.

    ``frame_number`` counts from 1 in an Enhanced (multi-frame) instance and is ``None`` for a classic one;
    ``position`` is Image Position (Patient) in mm; ``trigger_time_ms`` is ``None`` if it is absent or
    implausible.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    frame_number: int | None
    position: tuple[float, float, float]
    trigger_time_ms: float | None


@dataclass(frozen=True, eq=False)
class DicomSource:
    """The instances of a cine.

    ``frames[t][s]`` is the source of slice s of phase t. ``instances`` maps each SOP instance UID to the
    ``pydicom.Dataset`` without its pixels; these contain patient data. ``orientation`` is Image Orientation (Patient);
    ``slice_thickness_mm`` is not the distance between slices. ``arrangement`` is JSON-ready: the attributes by which
    slices and phases were ordered, the chosen group and the reason; it contains no patient data.
    ``unusable_for_results``: one sentence why DICOM results cannot name these instances as their sources, "" if they
    can.
    """

    frames: tuple[tuple[SourceFrame, ...], ...]
    instances: Mapping[str, Any]
    orientation: tuple[float, ...]
    slice_thickness_mm: float | None
    arrangement: Mapping[str, object]
    unusable_for_results: str = ""


@dataclass(frozen=True, eq=False)
class NiftiSource:
    """The parts of a NIfTI file that are needed to write labels of its cine: header, lengths of axes, orientation."""

    header: "nibabel.Nifti1Header"
    axes: tuple[int, ...]
    orientation: Orientation


@dataclass(frozen=True)
class Note:
    """Something that was found or repaired while reading: a stable ``code`` and one sentence without patient data."""

    code: str
    text: str


@dataclass(frozen=True, eq=False)
class Cine:
    """A short-axis cine, its grid and its source.

    ``image`` is ``[T, S, H, W]``; ``spacing`` is (slice, row, column) in mm. If slices are unevenly spaced,
    ``geometry`` has the position of each. ``path`` is the input. At most one of ``nifti`` and ``dicom`` is set: the
    file's grid for :func:`cardiacseg.io.nifti.write_labels`, or the instances, which DICOM results name as their
    sources. ``files``: the files of the frames, if each frame has its own.
    """

    path: Path
    image: np.ndarray
    spacing: tuple[float, float, float]
    geometry: Geometry
    timing: Timing = UNKNOWN_TIMING
    body: Body = UNKNOWN_BODY
    notes: tuple[Note, ...] = ()
    nifti: NiftiSource | None = field(default=None, repr=False)
    dicom: DicomSource | None = field(default=None, repr=False)
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Flag:
    """A reason to look at the result again.

    ``code`` is stable (``lv_ef_range``); ``text`` is one sentence with the numbers and units in it. ``value`` crossed
    ``threshold``. ``structure`` is ``"rv"``, ``"myo"`` or ``"lv"``; ``frame`` and ``slice`` count from 0, as in the
    JSON files. A field that does not apply is ``None``.
    """

    code: str
    text: str
    value: float | None = None
    threshold: float | None = None
    structure: str | None = None
    frame: int | None = None
    slice: int | None = None


@dataclass(frozen=True, eq=False)
class SegmentedCine:
    """A cine with its labels, measurements and quality checks.

    ``labels`` uint8 are ``[T, S, H, W]`` on the cine's own grid. ``result`` is ``None`` if labels were read from a file
    and no model ran. ``checks`` are the results of the quality checks, JSON-ready; ``None`` before they ran. ``title``
    names the case in pictures and pages; it holds no patient data.
    """

    cine: Cine
    labels: np.ndarray
    result: "Result | None"
    measurements: "Measurements"
    flags: Sequence[Flag] = ()
    title: str = ""
    checks: Sequence[Mapping[str, Any]] | None = None
