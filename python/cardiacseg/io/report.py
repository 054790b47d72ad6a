"""What a run writes in JSON: ``measurements.json`` and ``report.json``. Keys carry their units."""

import hashlib
import json
import math
import platform
from importlib import metadata
from pathlib import Path

from cardiacseg.io.atomic import write_bytes

RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or treatment."
PAPILLARY_CONVENTION = "papillary muscles and trabeculae count to the ventricles' volumes, not to the mass"
VOLUME_METHOD = "area times centre-to-centre slice spacing, summed over slices"


def write_json(path: str | Path, document: dict) -> None:
    """Write ``document`` as indented UTF-8 JSON, atomically. Raises ``ValueError`` for NaN or infinity."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(Path(path), (text + "\n").encode())


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
    for package in ("cardiacseg", "numpy", "openvino", "nibabel"):
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
        "volume_method": VOLUME_METHOD,
        "papillary_convention": PAPILLARY_CONVENTION,
        "intended_use": RESEARCH_USE,
    }


def input_document(path: str | Path, image, spacing: tuple[float, float, float]) -> dict:
    """One entry of ``inputs`` in ``report.json``: the file's name (not its folder), digest, shape and spacing."""
    return {
        "file": Path(path).name,
        "sha256": sha256_of(path),
        "shape_frames_slices_rows_columns": list(image.shape),
        "spacing_slice_row_column_mm": list(spacing),
    }


def _number(value: float) -> float | None:
    """``value`` to four digits, or ``None`` for NaN, which JSON does not have."""
    return None if math.isnan(value) else round(float(value), 4)


def confidence_document(result) -> dict:
    """Predicted mean Dice and agreement of the model's two stages, by frame; ``None`` where there is no such value."""
    return {
        "predicted_quality": [_number(value) for value in result.quality],
        "stage_agreement": [
            dict(zip(("rv", "myo", "lv"), map(_number, frame), strict=True)) for frame in result.agreement
        ],
    }


def report_document(result, inputs: list[dict], total_ms: float) -> dict:
    """Contents of ``report.json``; ``total_ms`` is the wall time from reading to writing."""
    run_report = result.report
    return {
        "inputs": inputs,
        "frames": sum(entry["shape_frames_slices_rows_columns"][0] for entry in inputs),
        **confidence_document(result),
        "model": {"name": run_report.model, "manifest_sha256": run_report.model_digest},
        "backend": {"name": run_report.backend, "device": run_report.device, "reason": run_report.reason},
        "stages_ms": dict(run_report.stages),
        "total_ms": total_ms,
        "versions": {**versions(), "cardiacseg": run_report.version},
        "intended_use": RESEARCH_USE,
    }
