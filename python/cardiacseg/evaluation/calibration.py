"""Calibration of probabilities and of the predicted quality: how accurate they are, and fits that improve them.

Probabilities are ``[N, 4]`` of N voxels, truth their labels 0..3. Guo et al., "On Calibration of Modern Neural
Networks", ICML 2017: expected calibration error (section 2) and temperature scaling (section 4.2).

The predicted quality of a stack is its Dice, predicted from the agreement of Seg and Ref: ``agreement`` is the mean
over RV, MYO and LV of the Dice of Seg's labels against Ref's, one number per stack; ``dice`` is the mean over the three
of the volume Dice against the truth. The prediction is a line (least squares), clamped to 0..1 as the runtime does.
"""

import math

import numpy as np

BINS = 15
MARGIN_MM = 10.0
TEMPERATURES = (0.3, 5.0)


def near_heart(truth: np.ndarray, spacing: tuple[float, float, float], margin_mm: float = MARGIN_MM) -> np.ndarray:
    """Voxels of ``[S, H, W]`` that count: at most ``margin_mm`` in plane from the heart, as bool ``[S, H, W]``.

    The heart is the outline of all labels of the stack, projected along the slices, so slices above the base and below
    the apex count too. Background further away is left out, because it would dominate the mean. ``spacing`` is (slice,
    row, column) in mm.
    """
    from scipy.ndimage import distance_transform_edt

    outline = truth.any(axis=0)
    if not outline.any():
        return np.zeros(truth.shape, dtype=bool)
    near = distance_transform_edt(~outline, sampling=spacing[1:]) <= margin_mm
    return np.broadcast_to(near, truth.shape)


def voxels_near_heart(
    probabilities: np.ndarray, truth: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities ``[N, 4]`` and labels ``[N]`` near the heart, from ``[S, 4, H, W]`` and ``[S, H, W]``."""
    near = near_heart(truth, spacing)
    return np.moveaxis(probabilities, 1, -1)[near], truth[near]


def reliability(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Voxels, sum of confidences, and correct voxels in each of :data:`BINS` equal bins: ``[BINS, 3]``.

    The confidence is the top class's probability, in (0, 1]; counts of several stacks add up.
    """
    confidence = probabilities.max(axis=1, initial=0).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    index = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return np.stack([np.bincount(index, weights, BINS) for weights in (None, confidence, right)], axis=1)


def expected_calibration_error(bins: np.ndarray) -> float:
    """Mean over voxels of |fraction that is correct - mean confidence| of the voxel's bin; NaN without voxels."""
    total = bins[:, 0].sum()
    return float(np.abs(bins[:, 2] - bins[:, 1]).sum() / total) if total else math.nan


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """``p^(1/T)`` over its sum: the softmax of logits divided by T. A class with a closed gate stays at zero."""
    top = probabilities.max(axis=1, keepdims=True)
    powers = (probabilities / top) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def negative_log_likelihood(probabilities: np.ndarray, truth: np.ndarray, temperature: float = 1.0) -> float:
    """Mean of -log p(true class) after :func:`scale`, over voxels whose true class has a probability above 0."""
    index = truth[:, None].astype(int)
    # no temperature changes the zero of a true class with a closed gate
    possible = np.take_along_axis(probabilities, index, axis=1)[:, 0] > 0
    if not possible.any():
        return math.nan
    found = np.take_along_axis(scale(probabilities[possible], temperature), index[possible], axis=1)
    return float(-np.log(found).mean())


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The temperature within :data:`TEMPERATURES` of least :func:`negative_log_likelihood`; 1 without voxels."""
    from scipy.optimize import minimize_scalar

    probabilities = np.asarray(probabilities, dtype=np.float64)
    if math.isnan(negative_log_likelihood(probabilities, truth)):
        return 1.0
    found = minimize_scalar(
        lambda temperature: negative_log_likelihood(probabilities, truth, temperature),
        bounds=TEMPERATURES,
        method="bounded",
        options={"xatol": 1e-3},
    )
    return float(found.x)


def fit_quality(agreement: np.ndarray, dice: np.ndarray) -> dict[str, float] | None:
    """``intercept`` and ``slope``, or ``None`` if agreement is unknown (NaN) or the same for all."""
    agreement, dice = np.asarray(agreement, dtype=np.float64), np.asarray(dice, dtype=np.float64)
    if len(agreement) < 2 or not np.isfinite(agreement).all() or np.ptp(agreement) < 1e-9:
        return None
    centered = agreement - agreement.mean()
    slope = float(centered @ dice / (centered @ centered))
    return {"intercept": float(dice.mean() - slope * agreement.mean()), "slope": slope}


def predict_quality(line: dict[str, float], agreement: np.ndarray) -> np.ndarray:
    """``intercept + slope * agreement``, clamped to 0..1."""
    return np.clip(line["intercept"] + line["slope"] * np.asarray(agreement), 0, 1)


def quality_validation(agreement: np.ndarray, dice: np.ndarray, patients: list[str]) -> dict[str, float] | None:
    """Accuracy of the prediction for patients that the line was not fitted to.

    For each patient in turn the line is fitted to all others. Returns the correlation of those predictions with the
    true Dice (``pearson``, ``spearman``; NaN if either does not vary), their ``mean_absolute_error``, and for
    comparison the ``dice_spread``, the mean absolute deviation of Dice from its mean; ``None`` if no line can be
    fitted.
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
    """Pearson's and Spearman's; NaN if either does not vary."""
    from scipy.stats import rankdata

    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return {"pearson": math.nan, "spearman": math.nan}
    return {
        "pearson": float(np.corrcoef(first, second)[0, 1]),
        "spearman": float(np.corrcoef(rankdata(first), rankdata(second))[0, 1]),
    }
