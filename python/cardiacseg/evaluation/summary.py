"""Summary over all stacks, and agreement of volumes with the truth (Bland and Altman, Lancet 1986;327:307-310)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cardiacseg.evaluation.calibration import BINS, MARGIN_MM, expected_calibration_error
from cardiacseg.evaluation.cases import OUTSIDE, CaseScore
from cardiacseg.metrics import LEVELS, STRUCTURES, presence_rates

MEASURES = ("lv_edv_ml", "lv_esv_ml", "lv_ef_percent", "rv_edv_ml", "rv_esv_ml", "rv_ef_percent")


@dataclass(frozen=True)
class PatientVolumes:
    """Values by name of :data:`MEASURES` of one patient; NaN if an ejection fraction does not exist."""

    patient: str
    ours: dict[str, float]
    truth: dict[str, float]


def patient_volumes(cases: Iterable) -> list[PatientVolumes]:
    """Volumes of every patient with two frames or more, from the volumes of the cases and their truth.

    ED and ES are the frames with the largest and the smallest LV volume of the truth, for both ventricles and also
    for the measured volumes.
    """
    frames: dict[str, list] = {}
    for case in cases:
        frames.setdefault(case.patient, []).append(case)
    found = []
    for patient, group in sorted(frames.items()):
        if len(group) > 1:
            ed = max(group, key=lambda case: case.true_volumes_ml["lv"])
            es = min(group, key=lambda case: case.true_volumes_ml["lv"])
            ours, truth = _values(ed.volumes_ml, es.volumes_ml), _values(ed.true_volumes_ml, es.true_volumes_ml)
            found.append(PatientVolumes(patient, ours, truth))
    return found


def _values(ed: Mapping[str, float], es: Mapping[str, float]) -> dict[str, float]:
    values = {}
    for side in ("lv", "rv"):
        values[f"{side}_edv_ml"], values[f"{side}_esv_ml"] = ed[side], es[side]
        values[f"{side}_ef_percent"] = 100 * (ed[side] - es[side]) / ed[side] if ed[side] > 0 else math.nan
    return values


def bland_altman(ours: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Bias (mean of measured - truth) and 95 % limits of agreement, bias -/+ 1.96 standard deviations (n - 1).

    Pairs with a NaN are left out; ``patients`` counts the rest. Limits need two pairs, the bias one; else NaN.
    """
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    differences = differences[np.isfinite(differences)]
    bias = float(differences.mean()) if len(differences) else math.nan
    spread = 1.96 * float(differences.std(ddof=1)) if len(differences) > 1 else math.nan
    return {"patients": len(differences), "bias": bias, "lower": bias - spread, "upper": bias + spread}


def volume_agreement(patients: list[PatientVolumes]) -> dict[str, dict[str, float]]:
    """:func:`bland_altman` of each of :data:`MEASURES`."""
    return {
        name: bland_altman([row.ours[name] for row in patients], [row.truth[name] for row in patients])
        for name in MEASURES
    }


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
        """Means over stacks, JSON-ready: NaN is ``None``, fractions lie in 0..1.

        ``dice`` of whole stacks (``volume``) and by level; ``presence`` over all slices and ``presence_by_region``,
        ``distance_mm``, ``shape``, ``volumes`` (Bland and Altman's), ``calibration`` (``None`` if not asked for).
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
    """Counts over all slices, and how many slices and stacks have any."""
    by_structure = np.concatenate(holes).sum(axis=0)
    return {
        "slices": len(fragments),
        "slices_with_extra_fragment": float(fragments.any(axis=1).mean()),
        "stacks_with_hole": sum(bool(found.any()) for found in holes),
        "extra_fragments": {name: int(fragments[:, index].sum()) for index, name in enumerate(STRUCTURES)},
        "holes": {name: int(by_structure[index]) for index, name in enumerate(("heart", "rv", "lv"))},
    }


def json_ready(value):
    """The value with floats rounded to four decimals, and ``None`` for NaN and infinity."""
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
