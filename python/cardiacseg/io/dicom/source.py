"""Which DICOM instances a cine was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydicom


@dataclass(frozen=True)
class SourceFrame:
    """Where one slice of one phase came from.

    ``frame_number`` counts from 1 in an Enhanced (multi-frame) instance and is ``None`` for a classic one;
    ``position`` is Image Position (Patient) in mm; ``trigger_time_ms`` is ``None`` where it is absent or
    cannot be believed.
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

    ``frames[t][s]`` made slice s of phase t. ``instances`` holds, by SOP instance UID, each of them without its pixels;
    they contain patient data. ``orientation`` is Image Orientation (Patient); ``slice_thickness_mm`` is not the
    distance between slices. ``arrangement`` says in JSON-ready words by which attributes slices and phases were put in
    order, which group was taken and why; it contains no patient data. ``unusable_for_results`` is one sentence that
    says why DICOM results cannot name these instances as their sources, and "" where they can.
    """

    frames: tuple[tuple[SourceFrame, ...], ...]
    instances: "Mapping[str, pydicom.Dataset]"
    orientation: tuple[float, ...]
    slice_thickness_mm: float | None
    arrangement: Mapping[str, object]
    unusable_for_results: str = ""
