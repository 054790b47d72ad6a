"""Checks of the model's own confidence in its labels."""

import numpy as np

from cardiacseg.io.cine import Flag
from cardiacseg.metrics import STRUCTURES
from cardiacseg.quality.check import STRUCTURE_WORDS, Check, CheckContext, Found, NotChecked, and_more, place

_NO_MODEL = NotChecked("the labels do not come from a model's run")


def presence(context: CheckContext, check: Check) -> Found:
    """Distance of the classifier's probability from 0.5 at ED or ES; one flag for each half of the stack.

    The gate at 0.5 decides whether a structure is shown in a slice, and so which slices count at base and apex.
    """
    if context.result is None:
        return _NO_MODEL
    certainty = np.abs(np.asarray(context.result.presence, dtype=np.float64) - 0.5)
    if (certainty == 0.5).all():
        return NotChecked("the model has no classifier of presence")
    halves = np.array_split(np.arange(context.slices), 2)
    return [flag for half in halves for flag in _least_certain(context, check, certainty, half)]


def _least_certain(context: CheckContext, check: Check, certainty: np.ndarray, half: np.ndarray) -> list[Flag]:
    frames = context.ed_and_es
    found = certainty[np.ix_(frames, half, range(len(STRUCTURES)))]
    if not found.size or found.min() >= check.threshold:
        return []
    at, near, kind = np.unravel_index(found.argmin(), found.shape)
    frame, index, structure = frames[at], int(half[near]), list(STRUCTURES)[kind]
    probability = float(context.result.presence[frame, index, kind])
    more = and_more(int((found < check.threshold).sum()) - 1)
    text = (
        f"Whether the {STRUCTURE_WORDS[structure]} is in {place(frame, index)}{more}{_end(context, half)} is uncertain"
        f": the classifier says {probability:.3f}; expected {check.threshold:g} or more away from 0.5."
    )
    return [Flag(check.code, text, float(found.min()), float(check.threshold), structure, frame, index)]


def _end(context: CheckContext, half: np.ndarray) -> str:
    base_first = context.measurements.base_first
    if base_first is None:
        return ""
    return ", towards the base," if (half[0] == 0) == base_first else ", towards the apex,"


def predicted_quality(context: CheckContext, check: Check) -> Found:
    """The lowest predicted mean Dice of a frame."""
    if context.result is None:
        return _NO_MODEL
    values = np.asarray(context.result.quality, dtype=np.float64)
    if np.isnan(values).all():
        return NotChecked("the model has no rule that predicts its quality")
    text = "The predicted mean Dice is {value:.3f} in {place}; expected {threshold:g} or more."
    return _lowest(check, values, text)


def stage_agreement(context: CheckContext, check: Check) -> Found:
    """The lowest Dice of a structure between the labels of the model's two stages in a frame."""
    if context.result is None:
        return _NO_MODEL
    values = np.asarray(context.result.agreement, dtype=np.float64)[:, list(STRUCTURES).index(check.structure)]
    if np.isnan(values).all():
        return NotChecked("the model has one stage")
    name = STRUCTURE_WORDS[check.structure]
    text = f"The model's two stages agree on the {name} with a Dice of {{value:.3f}} in {{place}}; "
    return _lowest(check, values, text + "expected {threshold:g} or more.")


def _lowest(check: Check, values: np.ndarray, sentence: str) -> list[Flag]:
    frame = int(np.nanargmin(values))
    if values[frame] >= check.threshold:
        return []
    place = f"phase {frame + 1}{and_more(int((values < check.threshold).sum()) - 1)}"
    text = sentence.format(value=values[frame], place=place, threshold=check.threshold)
    return [check.flag(text, values[frame], frame)]
