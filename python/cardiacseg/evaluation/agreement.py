"""Volumes and ejection fractions of patients, ours beside the truth's (Bland and Altman, Lancet 1986;327:307-310)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

MEASURES = ("lv_edv_ml", "lv_esv_ml", "lv_ef_percent", "rv_edv_ml", "rv_esv_ml", "rv_ef_percent")


@dataclass(frozen=True)
class PatientVolumes:
    """Values by name of :data:`MEASURES` of one patient; NaN where an ejection fraction does not exist."""

    patient: str
    ours: dict[str, float]
    truth: dict[str, float]


def patient_volumes(cases: Iterable) -> list[PatientVolumes]:
    """Of every patient with two frames or more, from ``patient``, ``volumes_ml`` and ``true_volumes_ml`` of cases.

    ED and ES are the frames with the largest and the smallest LV volume of the truth, for both ventricles and also
    for our volumes.
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
    """Bias (mean of ours - truth) and 95 % limits of agreement, bias -/+ 1.96 standard deviations (n - 1).

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
