"""Attributes of a dataset as plain values, ``None`` where they are absent, empty or malformed."""

import math
from collections.abc import Iterable, Sequence
from functools import cache

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import BaseTag, Tag


@cache
def _tag(name: str | tuple[int, int]) -> BaseTag:
    """Looked up once: there are many frames, and pydicom looks long for an attribute that is absent."""
    return Tag(name)


def value(dataset: Dataset, name: str | tuple[int, int]) -> object:
    """The value, as pydicom has it, of an attribute by its keyword or, without one, by its group and element."""
    try:
        found = dataset.get(_tag(name))
        return found.value if isinstance(found, DataElement) else found
    # A value is parsed when it is asked for, and a damaged one makes pydicom raise almost anything.
    except Exception:
        return None


def numbers(dataset: Dataset, name: str | tuple[int, int], count: int) -> tuple[float, ...] | None:
    """``count`` finite numbers, whichever type of value (VR) holds them; a decimal comma is a decimal point."""
    found = value(dataset, name)
    found = _as_written(dataset, name) if found is None else found
    try:
        read = tuple(map(_float, _parts(found)))
    except (TypeError, ValueError, OverflowError):
        return None
    return read if len(read) == count and all(map(math.isfinite, read)) else None


def has_decimal_comma(dataset: Dataset, name: str) -> bool:
    """Whether a number is written as no DICOM file may, and is read all the same."""
    return any(isinstance(part, str) and "," in part for part in _parts(_as_written(dataset, name)))


def _as_written(dataset: Dataset, name: str | tuple[int, int]) -> object:
    """The value of an attribute that pydicom cannot make a number of, as text or bytes; else ``None``."""
    try:
        element = dataset.get_item(name)
    except Exception:  # as in value()
        return None
    return element.value if isinstance(element, RawDataElement) else value(dataset, name)


def _parts(found: object) -> Iterable[object]:
    """The values of an attribute; text types (UT, ...) that hold numbers have backslashes between them."""
    text = found.decode("latin-1") if isinstance(found, bytes) else found
    return text.rstrip("\0").split("\\") if isinstance(text, str) else found if _is_list(found) else [found]


def _float(part: object) -> float:
    return float(part.replace(",", ".") if isinstance(part, str) else part)


def number(dataset: Dataset, name: str | tuple[int, int]) -> float | None:
    """One finite number."""
    read = numbers(dataset, name, 1)
    return None if read is None else read[0]


def whole(dataset: Dataset, name: str | tuple[int, int]) -> int | None:
    """One number without its fraction."""
    read = number(dataset, name)
    return None if read is None else int(read)


def text(dataset: Dataset, name: str) -> str:
    """Text without spaces at its ends; several values with backslashes between, as in the file; "" where absent."""
    found = value(dataset, name)
    if found is None or isinstance(found, (bytes, Dataset)):
        return ""
    return (found if isinstance(found, str) else "\\".join(map(str, found)) if _is_list(found) else str(found)).strip()


def words(dataset: Dataset, name: str) -> tuple[str, ...]:
    """The values of a code string in capitals."""
    return tuple(word.strip().upper() for word in text(dataset, name).split("\\"))


def items(dataset: Dataset, name: str) -> Sequence[Dataset]:
    """Items of a sequence, not copied: there may be one for each of many thousand frames."""
    found = value(dataset, name)
    return found if isinstance(found, DicomSequence) else []


def first_item(dataset: Dataset, name: str) -> Dataset | None:
    """The first item of a sequence."""
    return item_at(dataset, name, 0)


def item_at(dataset: Dataset, name: str, index: int) -> Dataset | None:
    """One item of a sequence, ``None`` where there are fewer."""
    found = items(dataset, name)
    return found[index] if index < len(found) else None


def _is_list(found: object) -> bool:
    return hasattr(found, "__iter__") and not isinstance(found, (str, bytes, Dataset))
