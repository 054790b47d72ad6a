"""JSON that this program wrote, read again: it may have been edited or damaged since, so that all of it is checked."""

import json
from pathlib import Path
from typing import Any

from cardiacseg.errors import InvalidInputError

_LARGEST = 16 << 20  # bytes


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ``InvalidInputError`` if it is no file, too large, or not JSON in UTF-8."""
    try:
        if not path.is_file():
            raise InvalidInputError(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
        if path.stat().st_size > _LARGEST:
            raise InvalidInputError(f"{path}: expected JSON of at most {_LARGEST >> 20} MB")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except RecursionError as error:
        raise InvalidInputError(f"{path} is not readable JSON: its lists are nested too deeply") from error
    except InvalidInputError:
        raise
    except ValueError as error:  # no JSON, no UTF-8, or a whole number of thousands of digits
        raise InvalidInputError(f"{path} is not readable JSON ({error})") from error


def read_record(path: Path) -> "Record":
    """The object that a JSON file holds. Raises ``InvalidInputError`` as :func:`read_json`, and if it is another."""
    values = read_json(path)
    if not isinstance(values, dict):
        raise InvalidInputError(f"{path}: expected an object, got a value of type {type(values).__name__}")
    return Record(str(path), values)


class Record:
    """An object of a JSON file, whose values are asked for by key, type and range.

    Each method raises ``InvalidInputError``, with the file and the place in it, where the value is another one.
    ``optional`` values may be ``null``, which is ``None``.
    """

    def __init__(self, where: str, values: dict[str, Any], place: str = ""):
        self.where, self.values, self._place = where, values, place

    def number(self, key: str, low: float, high: float, optional: bool = False) -> float | None:
        """A finite number from ``low`` to ``high``."""
        value = self._value(key, optional)
        return None if value is None else self._number(value, key, low, high)

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        return self._whole(self._value(key), key, low, high)

    def text(self, key: str, optional: bool = False) -> str | None:
        """A text."""
        value = self._value(key, optional)
        if value is not None and not isinstance(value, str):
            raise self._error(key, "a text", value)
        return value

    def record(self, key: str) -> "Record":
        """An object."""
        value = self._value(key)
        if not isinstance(value, dict):
            raise self._error(key, "an object", value)
        return Record(self.where, value, f"{self._place}{key}.")

    def list_of(self, key: str, count: int | None, optional: bool = False) -> "Record | None":
        """A list, of ``count`` values if that is given, as a record whose keys are "0", "1", ..."""
        value = self._value(key, optional)
        if value is None:
            return None
        if not isinstance(value, list) or count not in (None, len(value)):
            raise self._error(key, "a list" if count is None else f"a list of {count} values", value)
        return Record(self.where, {str(index): item for index, item in enumerate(value)}, f"{self._place}{key}.")

    def numbers(self, low: float, high: float) -> tuple[float, ...]:
        """All values of a list as numbers from ``low`` to ``high``."""
        return tuple(self._number(value, key, low, high) for key, value in self.values.items())

    def wholes(self, low: int, high: int) -> tuple[int, ...]:
        """All values of a list as whole numbers from ``low`` to ``high``."""
        return tuple(self._whole(value, key, low, high) for key, value in self.values.items())

    def _value(self, key: str, optional: bool = False) -> Any:
        value = self.values.get(key)
        if value is None and not optional:
            raise self._error(key, "a value", "none")
        return value

    def _number(self, value: Any, key: str, low: float, high: float) -> float:
        known = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not known or not low <= value <= high:  # NaN is not within
            raise self._error(key, f"a number from {low:g} to {high:g}", value)
        return float(value)

    def _whole(self, value: Any, key: str, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._error(key, f"a whole number from {low} to {high}", value)
        return value

    def _error(self, key: str, expected: str, got: Any) -> InvalidInputError:
        shown = ascii(got) if isinstance(got, (str, int, float)) else f"a value of type {type(got).__name__}"
        short = shown if len(shown) <= 30 else shown[:30] + "..."
        return InvalidInputError(f"{self.where}: expected {expected} under {self._place}{key}, got {short}")
