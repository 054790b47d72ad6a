"""The quality that a stack's own run predicts: its Dice, from how far Seg and Ref agree.

``agreement`` is the mean over RV, MYO and LV of the Dice of Seg's labels against Ref's, one number a stack; ``dice``
is the mean over the three of the volume Dice against the truth. The prediction is a line (least squares), clamped to
0..1 as the runtime does.
"""

import math

import numpy as np


def fit_quality(agreement: np.ndarray, dice: np.ndarray) -> dict[str, float] | None:
    """``intercept`` and ``slope``, or ``None`` where agreement is unknown (NaN) or everywhere the same."""
    agreement, dice = np.asarray(agreement, dtype=np.float64), np.asarray(dice, dtype=np.float64)
    if len(agreement) < 2 or not np.isfinite(agreement).all() or np.ptp(agreement) < 1e-9:
        return None
    centred = agreement - agreement.mean()
    slope = float(centred @ dice / (centred @ centred))
    return {"intercept": float(dice.mean() - slope * agreement.mean()), "slope": slope}


def predict_quality(line: dict[str, float], agreement: np.ndarray) -> np.ndarray:
    """``intercept + slope * agreement``, clamped to 0..1."""
    return np.clip(line["intercept"] + line["slope"] * np.asarray(agreement), 0, 1)


def quality_validation(agreement: np.ndarray, dice: np.ndarray, patients: list[str]) -> dict[str, float] | None:
    """How good the prediction is for a patient that the line was not fitted to.

    For each patient in turn the line is fitted to all others. Gives the correlation of those predictions with the true
    Dice (``pearson``, ``spearman``; NaN where either does not vary), their ``mean_absolute_error``, and for scale the
    ``dice_spread``, the mean absolute deviation of Dice from its mean; ``None`` where no line can be fitted.
    """
    if fit_quality(agreement, dice) is None:
        return None
    agreement, dice, owners = np.asarray(agreement), np.asarray(dice), np.asarray(patients)
    predicted = np.full(len(dice), math.nan)
    for patient in np.unique(owners):
        left_out = owners == patient
        line = fit_quality(agreement[~left_out], dice[~left_out])
        if line is None:
            return None
        predicted[left_out] = predict_quality(line, agreement[left_out])
    return {
        "stacks": len(dice),
        "patients": len(np.unique(owners)),
        **correlations(predicted, dice),
        "mean_absolute_error": float(np.abs(predicted - dice).mean()),
        "dice_spread": float(np.abs(dice - dice.mean()).mean()),
    }


def correlations(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Pearson's and Spearman's; NaN where either does not vary."""
    from scipy.stats import rankdata

    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return {"pearson": math.nan, "spearman": math.nan}
    return {
        "pearson": float(np.corrcoef(first, second)[0, 1]),
        "spearman": float(np.corrcoef(rankdata(first), rankdata(second))[0, 1]),
    }
