"""Z-scores of a batch's measurements against published reference ranges, by sex and age.

A z-score is (value - mean) / standard deviation of the healthy group. It is for statistics, not for a diagnosis. The
conventions of the measurements must be those of the reference; the rows of a batch do not say them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.csv_table import cell_number, read_csv_table
from cardiacseg.study.columns import CASE_COLUMNS, Column

FLAGGED = 2.0  # a larger distance from the mean, in standard deviations, is flagged
_UK_BIOBANK = "Petersen et al., J Cardiovasc Magn Reson 19:18, 2017, doi:10.1186/s12968-017-0327-9"
_MEASURES = {column.name for column in CASE_COLUMNS if column.kind == "number"}

# One row for each case with sex and age, and each measure that has a range for them.
Z_SCORE_COLUMNS = (
    Column("case", "string", "", "name of the case"),
    Column("measure", "string", "", "column of summary.csv"),
    Column("value", "number", "", "the measured value, in the unit of that column"),
    Column("mean", "number", "", "mean of the reference group"),
    Column("sd", "number", "", "standard deviation of the reference group"),
    Column("z", "number", "", "(value - mean) / sd"),
    Column("flagged", "boolean", "", "whether z is below -2 or above 2"),
    Column("source", "string", "", "where the reference range was published"),
)


@dataclass(frozen=True)
class Person:
    """``sex`` is "F" or "M"."""

    sex: str
    age_years: float


@dataclass(frozen=True)
class ReferenceRange:
    """Mean and standard deviation of a measure, a column of ``summary.csv``, for one sex from one age to another."""

    measure: str
    sex: str
    age_from: float
    age_to: float
    mean: float
    sd: float
    source: str

    def holds(self, person: Person) -> bool:
        """Whether it is for this person; a person of 74.9 years is 74 years old."""
        return person.sex == self.sex and self.age_from <= math.floor(person.age_years) <= self.age_to


# 804 healthy adults of UK Biobank, papillary muscles in the volume; the values that the article's abstract states.
UK_BIOBANK = (
    ReferenceRange("lv_ef_percent", "M", 45, 74, 58, 5, _UK_BIOBANK),
    ReferenceRange("lv_ef_percent", "F", 45, 74, 61, 5, _UK_BIOBANK),
    ReferenceRange("lv_mass_g_m2", "M", 45, 74, 53, 9, _UK_BIOBANK),
    ReferenceRange("lv_mass_g_m2", "F", 45, 74, 42, 7, _UK_BIOBANK),
)


def z_scores(
    cases: Sequence[Mapping[str, Any]], persons: Mapping[str, Person], ranges: Sequence[ReferenceRange] = UK_BIOBANK
) -> Iterator[dict[str, Any]]:
    """The rows of :data:`Z_SCORE_COLUMNS`."""
    for case in cases:
        person = persons.get(case["case"])
        for one in ranges:
            value = case.get(one.measure)
            if person is None or value is None or not one.holds(person):
                continue
            z = (value - one.mean) / one.sd
            yield {
                "case": case["case"],
                "measure": one.measure,
                "value": value,
                "mean": one.mean,
                "sd": one.sd,
                "z": round(z, 4),
                "flagged": abs(z) > FLAGGED,
                "source": one.source,
            }


def read_persons(path: str | Path) -> dict[str, Person]:
    """Sex and age by case from a CSV with the columns ``id``, ``sex`` (F or M) and ``age_years``; others are ignored.

    A row without sex or age is passed over. Raises ``InvalidInputError``, with the line, for other values, and for an
    ``id`` that is empty or there twice.
    """
    found: dict[str, Person] = {}
    for place, row in read_csv_table(path, ("id", "sex", "age_years"))[1]:
        if not row["id"] or row["id"] in found:
            raise InvalidInputError(f"{place}: expected an id that no other row has, got {row['id'][:40]!a}")
        if row["sex"] and row["age_years"]:
            found[row["id"]] = Person(_sex(row, place), cell_number(row, "age_years", place, 0, 130))
    return found


def read_ranges(path: str | Path) -> list[ReferenceRange]:
    """Reference ranges from a CSV with the columns of :class:`ReferenceRange`. Raises ``InvalidInputError``."""
    columns = [field.name for field in fields(ReferenceRange)]
    return [_range(row, place) for place, row in read_csv_table(path, columns)[1]]


def _range(row: Mapping[str, str], place: str) -> ReferenceRange:
    if row["measure"] not in _MEASURES:
        raise InvalidInputError(f"{place}: expected a measure of summary.csv, got {row['measure'][:40]!a}")
    if not row["source"]:
        raise InvalidInputError(f"{place}: expected the source of the range")
    age_from, age_to = (cell_number(row, name, place, 0, 130) for name in ("age_from", "age_to"))
    mean, sd = cell_number(row, "mean", place, -1e6, 1e6), cell_number(row, "sd", place, 1e-6, 1e6)
    return ReferenceRange(row["measure"], _sex(row, place), age_from, age_to, mean, sd, row["source"])


def _sex(row: Mapping[str, str], place: str) -> str:
    if row["sex"] not in ("F", "M"):
        raise InvalidInputError(f"{place}: expected F or M under sex, got {row['sex'][:20]!a}")
    return row["sex"]
