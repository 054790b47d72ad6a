"""Words for where something was found. In sentences slices and phases count from 1."""

import numpy as np

from cardiacseg.io.cine import Flag
from cardiacseg.quality.check import Check

STRUCTURE_WORDS = {"rv": "RV", "myo": "myocardium", "lv": "LV"}


def place(frame: int, index: int) -> str:
    """``"slice 3 of phase 7"``."""
    return f"slice {index + 1} of phase {frame + 1}"


def and_more(more: int) -> str:
    """The end of a sentence about the worst of several places."""
    if more == 0:
        return ""
    return f" (and in {more} more {'place' if more == 1 else 'places'})"


def worst_place(check: Check, values: np.ndarray, sentence: str) -> list[Flag]:
    """One flag where ``values`` ``[T, S]`` pass the threshold furthest, none where none does.

    NaN is a place that was not looked at. ``sentence`` has the fields ``name`` (of the structure), ``value``,
    ``threshold`` and ``place``; how many more places there are is added to it.
    """
    passed = np.nan_to_num(values, nan=-np.inf) > check.threshold
    if not passed.any():
        return []
    frame, index = np.unravel_index(np.nanargmax(values), values.shape)
    value = values[frame, index]
    words = sentence.format(
        name=STRUCTURE_WORDS.get(check.structure),
        value=value,
        threshold=check.threshold,
        place=place(frame, index) + and_more(int(passed.sum()) - 1),
    )
    return [check.flag(words, value, int(frame), int(index))]


def counted_places(check: Check, where: np.ndarray, sentence: str) -> list[Flag]:
    """One flag for all the places of bool ``[T, S]``, which names the first; its value is how many they are."""
    if not where.any():
        return []
    frame, index = (int(number) for number in np.argwhere(where)[0])
    count = int(where.sum())
    words = sentence.format(name=STRUCTURE_WORDS.get(check.structure), place=place(frame, index) + and_more(count - 1))
    return [check.flag(words, count, frame, index)]
