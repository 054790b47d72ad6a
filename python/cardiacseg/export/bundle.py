"""Writing a bundle: networks, manifest with digests, model card. Whole or not at all."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cardiacseg.export.model_card import model_card
from cardiacseg.export.onnx import export_graph, stage_graphs
from cardiacseg.export.parity import check_parity
from cardiacseg.models import SegmentationSystem
from cardiacseg.training.config import Preprocessing

FORMAT_VERSION = 1
CROP_MULTIPLE = 16  # what the runtime asks of every bundle
INTENDED_USE = (
    "Segmentation of the right ventricle, the myocardium and the left ventricle in short-axis cardiac cine MRI, "
    "for research. Not a medical device; not for diagnosis or treatment."
)


@dataclass(frozen=True)
class BundleInfo:
    """What a bundle says of itself. ``training`` and ``accuracy`` are JSON-ready and shown in the model card.

    ``temperature`` divides the last stage's logits, ``quality`` predicts a stack's mean Dice from the agreement of
    both stages (``{"intercept": a, "slope": b}``, or None), and ``clean_up`` lets the runtime drop fragments and fill
    holes.
    """

    name: str
    version: str
    model: str
    licence: str = "not stated"
    training: dict = field(default_factory=dict)
    accuracy: dict = field(default_factory=dict)
    temperature: float = 1.0
    quality: dict | None = None
    clean_up: bool = False


def export_bundle(
    model: SegmentationSystem,
    preprocessing: Preprocessing,
    info: BundleInfo,
    output: Path,
    calibrate: Callable[[Path], dict] | None = None,
    evaluate: Callable[[Path], dict] | None = None,
    overwrite: bool = False,
    record: Callable[[Path], object] | None = None,
) -> dict:
    """Export ``model`` as the folder ``output`` and return its manifest.

    ``calibrate`` is called with the finished bundle before it takes its place and returns its ``"temperature"`` and
    ``"quality"``; ``evaluate`` is called with the calibrated bundle and returns its accuracy; ``record`` is called last
    and may add to the manifest (:func:`cardiacseg.export.precision_gate.record_bf16`). Raises ``ValueError``
    for a crop that the networks cannot take, ``FileExistsError`` where ``output`` exists and ``overwrite`` is not
    set, and ``ParityError`` where an exported graph is not its network; ``output`` is then as it was.
    """
    _check_crop(model, preprocessing.crop_pixels, info.model)
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; give another folder or ask to overwrite it")
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        for stage, graph in stage_graphs(model.eval()).items():
            export_graph(graph, work / f"{stage}.onnx")
        parity = check_parity(model, work)
        manifest = _describe(work, model, preprocessing, info, parity)
        if calibrate is not None:
            found = calibrate(work)
            info = replace(info, temperature=found["temperature"], quality=found["quality"])
            manifest = _describe(work, model, preprocessing, info, parity)
        if evaluate is not None:
            manifest = _describe(work, model, preprocessing, replace(info, accuracy=evaluate(work)), parity)
        if record is not None:
            record(work)
            manifest = json.loads((work / "manifest.json").read_text(encoding="utf-8"))
        work.chmod(0o755)
        _take_place(work, output)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _check_crop(model: SegmentationSystem, crop_pixels: int, name: str) -> None:
    multiple = math.lcm(CROP_MULTIPLE, model.stride)
    if crop_pixels % multiple:
        raise ValueError(f"crop_pixels of model {name!r} must be a multiple of {multiple}, got {crop_pixels}")


def _describe(
    folder: Path, model: SegmentationSystem, preprocessing: Preprocessing, info: BundleInfo, parity: dict
) -> dict:
    """Write the model card and the manifest for the networks that lie in ``folder``."""
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": info.name,
        "version": info.version,
        "model": info.model,
        "licence": info.licence,
        "intended_use": INTENDED_USE,
        "labels": {"background": 0, "rv": 1, "myo": 2, "lv": 3},
        "preprocessing": {
            "spacing_mm": preprocessing.spacing_mm,
            "crop_pixels": preprocessing.crop_pixels,
            "percentiles": list(preprocessing.percentiles),
            "locate": {
                "spacing_mm": preprocessing.locate_spacing_mm,
                "size_multiple": model.locate.stride,
                "threshold": 0.5,
            },
        },
        "presence_threshold": 0.5,
        "temperature": info.temperature,
        **({} if info.quality is None else {"quality": info.quality}),
        "clean_up": info.clean_up,
        "networks": {stage: f"{stage}.onnx" for stage in parity},
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "parity": {stage: float(f"{difference:.3g}") for stage, difference in parity.items()},
        "training": info.training,
        "accuracy": info.accuracy,
    }
    (folder / "MODEL_CARD.md").write_text(model_card(manifest), encoding="utf-8")
    names = [*manifest["networks"].values(), "MODEL_CARD.md"]
    manifest["files"] = {name: fingerprint(folder / name) for name in names}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return manifest


def fingerprint(path: Path) -> dict:
    """A file's entry in the manifest: its SHA-256 and its length in bytes."""
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _take_place(work: Path, output: Path) -> None:
    """Rename ``work`` to ``output``; an older ``output`` is moved aside first and removed last."""
    if not output.exists():
        os.replace(work, output)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{output.name}-old-", dir=output.parent))
    os.replace(output, aside / output.name)
    os.replace(work, output)
    shutil.rmtree(aside)
