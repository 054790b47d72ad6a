"""What comes out over all stacks."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cardiacseg.evaluation.agreement import PatientVolumes, patient_volumes, volume_agreement
from cardiacseg.evaluation.calibration import BINS, MARGIN_MM, expected_calibration_error
from cardiacseg.evaluation.cases import OUTSIDE, CaseScore
from cardiacseg.metrics import LEVELS, STRUCTURES, presence_rates


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of all stacks."""

    cases: tuple[CaseScore, ...]

    @cached_property
    def patients(self) -> list[PatientVolumes]:
        """Volumes and ejection fractions of the patients with two frames or more."""
        return patient_volumes(self.cases)

    @cached_property
    def reliability(self) -> np.ndarray | None:
        """Counts ``[BINS, 3]`` over all stacks, as :func:`reliability`; ``None`` without probabilities."""
        found = [case.reliability for case in self.cases]
        return None if any(bins is None for bins in found) else np.sum(found, axis=0)

    def summary(self) -> dict:
        """Means over stacks, JSON-ready: NaN is ``None``, shares lie in 0..1.

        ``dice`` of whole stacks (``volume``) and by level; ``presence`` over all slices and ``presence_by_region``,
        ``distance_mm``, ``shape``, ``volumes`` (Bland and Altman's), ``calibration`` (``None`` where not asked for).
        """
        present, expected = self._slices("present"), self._slices("expected")
        return json_ready(
            {
                "patients": len({case.patient for case in self.cases}),
                "stacks": len(self.cases),
                "dice": self._dice(),
                "presence_accuracy": float((present == expected).mean()),
                "presence": presence_rates(present, expected),
                "presence_by_region": self._presence_by_region(),
                "distance_mm": self._distances(),
                "shape": {
                    "ours": _shape(self._slices("fragments"), [case.holes for case in self.cases]),
                    "truth": _shape(self._slices("true_fragments"), [case.true_holes for case in self.cases]),
                },
                "volumes": volume_agreement(self.patients),
                "calibration": self._calibration(),
            }
        )

    def _slices(self, name: str) -> np.ndarray:
        return np.concatenate([getattr(case, name) for case in self.cases])

    def _dice(self) -> dict[str, dict[str, float]]:
        rows = {"volume": [case.dice for case in self.cases]}
        for level in LEVELS:
            rows[level] = [case.dice_by_level[level] for case in self.cases if level in case.dice_by_level]
        return {part: _mean(found) for part, found in rows.items() if found}

    def _presence_by_region(self) -> dict[str, dict]:
        regions, present, expected = (self._slices(name) for name in ("regions", "present", "expected"))
        return {
            region: {"slices": int(chosen.sum()), **presence_rates(present[chosen], expected[chosen])}
            for region in (*LEVELS, OUTSIDE)
            if (chosen := regions == region).any()
        }

    def _distances(self) -> dict[str, dict[str, float]]:
        return {
            name: {structure: _known_mean([values[structure] for values in found]) for structure in STRUCTURES}
            for name, found in (
                ("hd95", [case.hd95_mm for case in self.cases]),
                ("assd", [case.assd_mm for case in self.cases]),
            )
        }

    def _calibration(self) -> dict | None:
        if self.reliability is None:
            return None
        error = expected_calibration_error(self.reliability)
        return {"expected_calibration_error": error, "bins": BINS, "within_mm_of_heart": MARGIN_MM}


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    means = {name: float(np.mean([row[name] for row in rows])) for name in STRUCTURES}
    return {**means, "mean": float(np.mean(list(means.values())))}


def _known_mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _shape(fragments: np.ndarray, holes: list[np.ndarray]) -> dict:
    """Counts over all slices, and how many slices and stacks they spoil."""
    by_structure = np.concatenate(holes).sum(axis=0)
    return {
        "slices": len(fragments),
        "slices_with_extra_fragment": float(fragments.any(axis=1).mean()),
        "stacks_with_hole": sum(bool(found.any()) for found in holes),
        "extra_fragments": {name: int(fragments[:, index].sum()) for index, name in enumerate(STRUCTURES)},
        "holes": {name: int(by_structure[index]) for index, name in enumerate(("heart", "rv", "lv"))},
    }


def json_ready(value):
    """The same with floats of four digits behind the point, and ``None`` for NaN and infinity."""
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
