"""A short-axis cine as it was read, whatever the file format."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cardiacseg.acquisition import UNKNOWN_BODY, UNKNOWN_TIMING, Body, Timing
from cardiacseg.io.geometry import Geometry

if TYPE_CHECKING:
    from cardiacseg.io.dicom.source import DicomSource
    from cardiacseg.io.nifti import NiftiSource


@dataclass(frozen=True)
class Note:
    """Something that was found or repaired while reading: a stable ``code`` and one sentence without patient data."""

    code: str
    text: str


@dataclass(frozen=True, eq=False)
class Cine:
    """A short-axis cine, the grid it lies on, and where it came from.

    ``image`` is ``[T, S, H, W]``; ``spacing`` is (slice, row, column) in mm; where slices are unevenly spaced,
    ``geometry`` says so and has the place of each. ``path`` is what was read. At most one of ``nifti`` and ``dicom`` is
    set: what :func:`cardiacseg.io.nifti.write_labels` keeps of the file's grid, or the instances, which DICOM results
    name as their sources. ``files`` are those of the frames, where each has its own.
    """

    path: Path
    image: np.ndarray
    spacing: tuple[float, float, float]
    geometry: Geometry
    timing: Timing = UNKNOWN_TIMING
    body: Body = UNKNOWN_BODY
    notes: tuple[Note, ...] = ()
    nifti: "NiftiSource | None" = field(default=None, repr=False)
    dicom: "DicomSource | None" = field(default=None, repr=False)
    files: tuple[Path, ...] = ()
