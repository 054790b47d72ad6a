"""JSON of a run (``measurements.json``, ``report.json``), with units in its keys, and reading JSON back.

A file may have been edited or damaged since it was written, so every value is checked.
"""

import hashlib
import json
import math
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.output import printable, write_bytes

# Written last: the sign that all other results are there.
REPORT = "report.json"
RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or treatment."
_LARGEST = 16 << 20  # bytes


def write_json(path: str | Path, document: dict) -> None:
    """Write ``document`` as :func:`json_text` gives it, in UTF-8, atomically."""
    write_bytes(Path(path), (json_text(document) + "\n").encode("utf-8", "backslashreplace"))  # names of old disks


def json_text(document: dict) -> str:
    """Indented JSON in which a list of numbers takes one line. Raises ``ValueError`` for NaN or infinity."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # Strings have no line breaks in them, so that only lists without others inside can match.
    return re.sub(r"\[\n[^][{}\"]*\]", lambda found: f"[{' '.join(found[0][1:-1].split())}]", text)


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries of inference; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in ("cardiacseg", "numpy", "openvino", "nibabel", "pydicom", "highdicom"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def measurements_document(measurements, spacing: tuple[float, float, float]) -> dict:
    """Contents of ``measurements.json``; frames are numbered from 0."""
    return {
        **measurements.to_dict(),
        "spacing_slice_row_column_mm": list(spacing),
        "intended_use": RESEARCH_USE,
    }


def _file_document(path: Path) -> dict[str, str]:
    return {"file": printable(path.name), "sha256": sha256_of(path)}


def input_document(cine) -> dict:
    """``input`` of ``report.json``: the input with its digest, shape and spacing.

    For a NIfTI file the digest is that of the file (``frames`` has that of each file if there are several), for a DICOM
    study that of the cine's pixels. A study's folder is not named, because people name folders after patients.
    """
    facts = {
        "shape_frames_slices_rows_columns": list(cine.image.shape),
        "spacing_slice_row_column_mm": list(cine.spacing),
    }
    if cine.dicom is None:
        frames = {"frames": [_file_document(path) for path in cine.files]} if cine.files else {}
        return {"format": "nifti", **_file_document(cine.path), **frames, **facts}
    digest = hashlib.sha256(np.ascontiguousarray(cine.image)).hexdigest()
    instances = {"instances": len(cine.dicom.instances), "pixels_sha256": digest}
    return {"format": "dicom", **instances, **facts, "arrangement": dict(cine.dicom.arrangement)}


def _grid_document(geometry) -> dict:
    """Columns of ``direction`` are the unit vectors of x, y and z; mm, to the patient's left, back and head.

    ``slice_offsets_mm`` is the position of unevenly spaced slices along z, from the first; ``None`` for even ones.
    """
    return {
        "origin_mm": list(geometry.origin),
        "direction": geometry.direction.tolist(),
        "spacing_mm": list(geometry.spacing),
        "size": list(geometry.size),
        "slice_offsets_mm": None if geometry.slice_offsets_mm is None else list(geometry.slice_offsets_mm),
    }


def _acquisition_document(cine) -> dict:
    times = cine.timing.frame_times_ms
    return {
        "frame_times_ms": None if times is None else list(times),
        "rr_interval_ms": cine.timing.rr_interval_ms,
        "rr_source": cine.timing.rr_source,
        "height_m": cine.body.height_m,
        "weight_kg": cine.body.weight_kg,
    }


def _rounded(value: float) -> float | None:
    """``value`` to four digits, or ``None`` for NaN, which JSON does not have."""
    return None if math.isnan(value) else round(float(value), 4)


def _confidence_document(result) -> dict:
    """Predicted mean Dice and agreement of the model's two stages, by frame; ``None`` if there is no such value."""
    return {
        "predicted_quality": [_rounded(value) for value in result.quality],
        "stage_agreement": [
            dict(zip(("rv", "myo", "lv"), map(_rounded, frame), strict=True)) for frame in result.agreement
        ],
    }


def _run_document(result) -> dict:
    """The model, its backend and device; empty if labels were read from a file."""
    if result is None:
        return {"model": None}
    report = result.report
    return {
        **_confidence_document(result),
        "model": {"name": report.model, "manifest_sha256": report.model_digest},
        "backend": {
            "name": report.backend,
            "device": report.device,
            "reason": report.reason,
            "precision": report.precision,
            "precision_reason": report.precision_reason,
        },
        "stages_ms": dict(report.stages),
        "temporal": {"applied": report.temporal, "presence_changes": report.presence_changes},
    }


def _versions_of(result) -> dict[str, str]:
    return versions() if result is None else {**versions(), "cardiacseg": result.report.version}


def report_document(segmented, source: dict, files: list[str], seconds: dict[str, float]) -> dict:
    """Contents of ``report.json``; ``source`` is :func:`input_document`'s, ``seconds`` the wall time of each part."""
    cine = segmented.cine
    return {
        "input": source,
        "frames": len(cine.image),
        "grid": _grid_document(cine.geometry),
        "acquisition": _acquisition_document(cine),
        "notes": [{"code": note.code, "text": note.text} for note in cine.notes],
        **_run_document(segmented.result),
        "seconds": seconds,
        "files": files,
        "versions": _versions_of(segmented.result),
        "intended_use": RESEARCH_USE,
    }


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ``InvalidInputError`` if it is not a file, too large, or not JSON in UTF-8."""
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
    """The object in a JSON file. Raises ``InvalidInputError`` as :func:`read_json`, and if it is not an object."""
    values = read_json(path)
    if not isinstance(values, dict):
        raise InvalidInputError(f"{path}: expected an object, got a value of type {type(values).__name__}")
    return Record(str(path), values)


class Record:
    """An object of a JSON file; its methods return values by key, type and range.

    Each raises ``InvalidInputError``, with the file and the place in it, if the value is of another type or range.
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
