"""Values that are rounded differently: equal to the first of their kind within a tolerance."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import product

Vector = tuple[float, ...]
_CELL = 4  # tolerances


def firsts(
    counted: Counter[Vector], tolerances: Sequence[float], is_near: Callable[[Vector, Vector], bool] | None = None
) -> dict[Vector, Vector]:
    """For each vector the most frequent one that equals it within ``tolerances`` (and ``is_near``), or itself.

    Space is cut into cells of some tolerances, so that the time grows with the number of vectors and not its square.
    """
    cells: dict[tuple[int, ...], list[Vector]] = defaultdict(list)
    found: dict[Vector, Vector] = {}
    for vector, _ in counted.most_common():
        scaled = [value / tolerance / _CELL for value, tolerance in zip(vector, tolerances, strict=True)]
        sides = [{math.floor(value - 1 / _CELL), math.floor(value + 1 / _CELL)} for value in scaled]
        near = (first for cell in product(*sides) for first in cells.get(cell, ()))
        found[vector] = next((first for first in near if _equal(first, vector, tolerances, is_near)), vector)
        if found[vector] is vector:
            cells[tuple(map(math.floor, scaled))].append(vector)
    return found


def _equal(first: Vector, other: Vector, tolerances: Sequence[float], is_near: Callable | None) -> bool:
    within = all(abs(a - b) <= most for a, b, most in zip(first, other, tolerances, strict=True))
    return within and (is_near is None or is_near(first, other))
