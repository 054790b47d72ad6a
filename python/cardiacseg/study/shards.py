"""Shards of a batch: parts that run at different places and times, each with its own table, and joining the tables."""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.output import remove_leftovers
from cardiacseg.study.case_folder import read_table

_TABLE = re.compile(r"summary\.([0-9]{1,6})-of-([0-9]{1,6})\.csv")
_NAMED = 10  # shards that an error names


@dataclass(frozen=True, order=True)
class Shard:
    """Shard ``index`` (from 1) of ``count``. The name of a case alone decides in which of ``count`` shards it is."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From ``"3/10"``. Raises ``ValueError``."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        shard = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= shard.index <= shard.count:
            raise ValueError(f"expected I/N with I from 1 to N, got {text!r}")
        return shard

    def has(self, name: str) -> bool:
        """Whether the case ``name`` is in this shard: by the first 8 bytes of the SHA-256 of its name in UTF-8."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1

    @property
    def table(self) -> str:
        """The shard's table; it is there only if the shard is complete."""
        return f"summary.{self.index}-of-{self.count}.csv"

    @property
    def unfinished(self) -> str:
        """The table of a shard that is running, or was interrupted."""
        return f"summary.{self.index}-of-{self.count}.unfinished.csv"

    @property
    def hidden(self) -> str:
        """The folder that a running shard locks, so that other shards can run at the same time."""
        return f".cardiacseg.shard-{self.index}-of-{self.count}"


def rows_of_shards(output: Path) -> list[dict[str, Any]]:
    """The rows of all shards' tables in ``output``, in order of the cases' names.

    Raises ``InvalidInputError`` if a table is missing or damaged, if there are tables of several numbers of shards, or
    if a case has two rows.
    """
    shards = _shards_in(output)
    rows = [row for shard in shards for row in read_table(output / shard.table)]
    rows.sort(key=lambda row: row["case"])
    for row, following in pairwise(rows):
        if row["case"] == following["case"]:
            raise InvalidInputError(f"{output}: expected one row for each case, got two for {row['case']!a}")
    for shard in shards:
        remove_leftovers(output / shard.hidden)
        with suppress(OSError):
            (output / shard.hidden).rmdir()
    return rows


def _shards_in(output: Path) -> list[Shard]:
    found = [_TABLE.fullmatch(path.name) for path in output.glob("summary.*-of-*.csv")]
    shards = sorted(Shard(int(name[1]), int(name[2])) for name in found if name)
    counts = sorted({shard.count for shard in shards})
    if len(counts) != 1:
        numbers = " and of ".join(map(str, counts)) or "none"
        raise InvalidInputError(f"{output}: expected tables of all shards (summary.I-of-N.csv), got those of {numbers}")
    missing = sorted(set(range(1, counts[0] + 1)) - {shard.index for shard in shards})
    if missing:
        names = ", ".join(map(str, missing[:_NAMED])) + (", ..." if len(missing) > _NAMED else "")
        raise InvalidInputError(f"{output}: expected {counts[0]} complete shards; run these again: {names}")
    return shards
