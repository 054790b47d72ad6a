"""Scores of one stack: Dice, distances, presence, shape, volumes, calibration."""

from dataclasses import dataclass, field

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.evaluation.calibration import expected_calibration_error, reliability, voxels_near_heart
from cardiacseg.io.labelled import LabelledFrame, LabelledImage
from cardiacseg.measurements import measure
from cardiacseg.metrics import (
    LEVELS,
    STRUCTURES,
    average_symmetric_surface_distance,
    dice_by_level,
    dice_by_structure,
    hausdorff_distance_95,
    presence_of,
    slice_levels,
)
from cardiacseg.segmenter import Result

OUTSIDE = "outside"
# In a plane: if regions are connected by edges and corners, the holes that they enclose are connected by edges only.
_EDGES_AND_CORNERS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class CaseScore:
    """One stack of S slices. If there is one value for each structure, the keys are ``"rv"``, ``"myo"``, ``"lv"``.

    ``dice`` is of the whole stack, ``dice_by_level`` of the slices at each level. ``hd95_mm`` and ``assd_mm`` are NaN
    if the labels or the truth lack the structure. ``present`` and ``expected`` are bool ``[S, 3]``; ``regions`` names
    each slice's level by the truth, or ``"outside"`` the slices that the truth covers. ``fragments`` and ``holes``
    (of the heart, RV, LV) are int ``[S, 3]``. ``agreement`` ``[3]`` and ``quality`` are the run's own; NaN for
    single-stage models. ``reliability`` is :func:`reliability`'s counts near the heart, ``None`` without
    probabilities. ``labels`` are the run's.
    """

    frame: LabelledFrame
    labels: np.ndarray = field(repr=False)
    dice: dict[str, float]
    dice_by_level: dict[str, dict[str, float]]
    hd95_mm: dict[str, float]
    assd_mm: dict[str, float]
    present: np.ndarray
    expected: np.ndarray
    regions: np.ndarray
    fragments: np.ndarray
    holes: np.ndarray
    true_fragments: np.ndarray
    true_holes: np.ndarray
    volumes_ml: dict[str, float]
    true_volumes_ml: dict[str, float]
    agreement: np.ndarray
    quality: float
    reliability: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Name of the frame."""
        return self.frame.name

    @property
    def patient(self) -> str:
        """Patient whose frame it is."""
        return self.frame.patient

    @property
    def mean_dice(self) -> float:
        """Mean over the structures of ``dice``."""
        return float(np.mean(list(self.dice.values())))


def score_case(frame: LabelledFrame, stack: LabelledImage, result: Result) -> CaseScore:
    """Compare the result of running on one stack with the stack's truth."""
    labels, truth, spacing = result.labels, stack.labels, stack.spacing
    distances = (hausdorff_distance_95, average_symmetric_surface_distance)
    hd95, assd = (
        {name: distance(labels, truth, label, spacing) for name, label in STRUCTURES.items()} for distance in distances
    )
    return CaseScore(
        frame=frame,
        labels=labels,
        dice=dice_by_structure(labels, truth),
        dice_by_level=dice_by_level(labels, truth),
        hd95_mm=hd95,
        assd_mm=assd,
        present=presence_of(labels),
        expected=presence_of(truth),
        regions=slice_regions(truth),
        fragments=extra_fragments(labels),
        holes=holes(labels),
        true_fragments=extra_fragments(truth),
        true_holes=holes(truth),
        volumes_ml=_volumes(labels, spacing),
        true_volumes_ml=_volumes(truth, spacing),
        agreement=result.agreement[0],
        quality=float(result.quality[0]),
        reliability=_reliability(result, truth, spacing),
    )


def slice_regions(truth: np.ndarray) -> np.ndarray:
    """Level of each slice of ``[S, H, W]``, or ``"outside"``: strings ``[S]``."""
    regions = np.full(len(truth), OUTSIDE, dtype=object)
    for level, indices in slice_levels(truth).items():
        regions[indices] = level
    return regions


def _volumes(labels: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, float]:
    found = measure(labels, spacing)
    return {name: float(getattr(found, f"{name}_ml")[0]) for name in STRUCTURES}


def _reliability(result: Result, truth: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray | None:
    if result.probabilities is None:
        return None
    return reliability(*voxels_near_heart(result.probabilities[0], truth, spacing))


def case_row(case: CaseScore) -> dict[str, object]:
    """One row of a table: all scores as plain values under flat names; slices with wrong presence as their number."""
    row: dict[str, object] = {"name": case.name, "patient": case.patient, "slices": len(case.expected)}
    row |= {f"dice_{name}": value for name, value in case.dice.items()} | {"dice_mean": case.mean_dice}
    for level in LEVELS:
        scores = case.dice_by_level.get(level, {})
        row |= {f"dice_{level}_{name}": scores.get(name) for name in STRUCTURES}
    row |= {f"hd95_mm_{name}": value for name, value in case.hd95_mm.items()}
    row |= {f"assd_mm_{name}": value for name, value in case.assd_mm.items()}
    for index, name in enumerate(STRUCTURES):
        ours, theirs = case.present[:, index], case.expected[:, index]
        row |= {f"slices_too_many_{name}": int((ours & ~theirs).sum())}
        row |= {f"slices_missed_{name}": int((~ours & theirs).sum())}
        row |= {f"extra_fragments_{name}": int(case.fragments[:, index].sum())}
    row |= {f"holes_{name}": int(case.holes[:, index].sum()) for index, name in enumerate(("heart", "rv", "lv"))}
    row |= {f"{name}_ml": value for name, value in case.volumes_ml.items()}
    row |= {f"{name}_true_ml": value for name, value in case.true_volumes_ml.items()}
    row |= {f"agreement_{name}": float(value) for name, value in zip(STRUCTURES, case.agreement, strict=True)}
    error = None if case.reliability is None else expected_calibration_error(case.reliability)
    return row | {"predicted_quality": case.quality, "calibration_error": error}


def extra_fragments(labels: np.ndarray) -> np.ndarray:
    """Number of connected components of RV, MYO, LV beyond the first in each slice of ``[S, H, W]``: int ``[S, 3]``.

    Components are those of one slice; pixels that share an edge or a corner are connected (8-connectivity).
    """
    counts = [[_regions(plane == label) for label in STRUCTURES.values()] for plane in _stack(labels)]
    return np.maximum(np.array(counts, dtype=int).reshape(-1, 3) - 1, 0)


def holes(labels: np.ndarray) -> np.ndarray:
    """Number of holes in the heart, the RV and the LV in each slice of ``[S, H, W]``: int ``[S, 3]``.

    A hole of the heart is a region of background that does not reach the slice's border; a hole of the RV or the LV
    is such a region of anything except that structure. Pixels that share an edge are connected (4-connectivity). The
    myocardium encloses the LV, so its holes are not counted.
    """
    counts = [
        [_enclosed(plane == 0), _enclosed(plane != STRUCTURES["rv"]), _enclosed(plane != STRUCTURES["lv"])]
        for plane in _stack(labels)
    ]
    return np.array(counts, dtype=int).reshape(-1, 3)


def _stack(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 3:
        raise InvalidInputError(f"expected labels [S, H, W] of one frame, got shape {labels.shape}")
    return labels


def _regions(mask: np.ndarray) -> int:
    from scipy.ndimage import label

    return label(mask, structure=_EDGES_AND_CORNERS)[1] if mask.any() else 0


def _enclosed(mask: np.ndarray) -> int:
    from scipy.ndimage import label

    if mask.all():
        return 0
    # a rim of one pixel connects all regions that touch the border
    return label(np.pad(mask, 1, constant_values=True))[1] - 1
