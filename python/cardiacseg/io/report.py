"""What a run writes in JSON: ``measurements.json`` and ``report.json``. Keys carry their units."""

import hashlib
import json
import math
import platform
import re
from importlib import metadata
from pathlib import Path

import numpy as np

from cardiacseg.io.atomic import write_bytes
from cardiacseg.io.printable import printable

# Written last: the sign that all other results are there.
REPORT = "report.json"
RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or treatment."


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
    """Versions of Python and of what inference rests on; what is not installed is left out."""
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
    """``input`` of ``report.json``: what was read, with its digest, shape and spacing.

    Of a NIfTI file the digest is the file's (``frames`` has each one's if there are several), of a DICOM study that of
    the cine's pixels; a study's folder is not named, as people name folders after patients.
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

    ``slice_offsets_mm`` is where unevenly spaced slices lie along z, from the first on; of even ones it is ``None``.
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


def _number(value: float) -> float | None:
    """``value`` to four digits, or ``None`` for NaN, which JSON does not have."""
    return None if math.isnan(value) else round(float(value), 4)


def _confidence_document(result) -> dict:
    """Predicted mean Dice and agreement of the model's two stages, by frame; ``None`` where there is no such value."""
    return {
        "predicted_quality": [_number(value) for value in result.quality],
        "stage_agreement": [
            dict(zip(("rv", "myo", "lv"), map(_number, frame), strict=True)) for frame in result.agreement
        ],
    }


def _run_document(result) -> dict:
    """Which model ran where; nothing where labels were read from a file."""
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
