"""Writing a bundle: networks, manifest with digests, model card. Whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cardiacseg.export.model_card import model_card
from cardiacseg.export.onnx import GRAPHS, export_graph
from cardiacseg.export.parity import check_parity
from cardiacseg.models.seg_ref import SegRef
from cardiacseg.training.config import Preprocessing

FORMAT_VERSION = 1
INTENDED_USE = (
    "Segmentation of the right ventricle, the myocardium and the left ventricle in short-axis cardiac cine MRI, "
    "for research. Not a medical device; not for diagnosis or treatment."
)


@dataclass(frozen=True)
class BundleInfo:
    """What a bundle says of itself. ``training`` and ``accuracy`` are JSON-ready and shown in the model card."""

    name: str
    version: str
    model: str
    licence: str = "not stated"
    training: dict = field(default_factory=dict)
    accuracy: dict = field(default_factory=dict)


def export_bundle(
    model: SegRef,
    preprocessing: Preprocessing,
    info: BundleInfo,
    output: Path,
    evaluate: Callable[[Path], dict] | None = None,
    overwrite: bool = False,
) -> dict:
    """Export ``model`` as the folder ``output`` and return its manifest.

    ``evaluate`` is called with the finished bundle before it takes its place and returns its accuracy. Raises
    ``FileExistsError`` where ``output`` exists and ``overwrite`` is not set, and ``ParityError`` where an exported
    graph is not its network; ``output`` is then as it was.
    """
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; give another folder or ask to overwrite it")
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        for stage, graph in GRAPHS.items():
            export_graph(graph(model.eval()), work / f"{stage}.onnx")
        parity = check_parity(model, work)
        manifest = _describe(work, model, preprocessing, info, info.accuracy, parity)
        if evaluate is not None:
            manifest = _describe(work, model, preprocessing, info, evaluate(work), parity)
        work.chmod(0o755)
        _take_place(work, output)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _describe(
    folder: Path, model: SegRef, preprocessing: Preprocessing, info: BundleInfo, accuracy: dict, parity: dict
) -> dict:
    """Write the model card and the manifest for the networks that lie in ``folder``."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
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
                "size_multiple": model.config.locate.stride,
                "threshold": 0.5,
            },
        },
        "presence_threshold": 0.5,
        "networks": {stage: f"{stage}.onnx" for stage in GRAPHS},
        "parameters": parameters,
        "parity": {stage: float(f"{difference:.3g}") for stage, difference in parity.items()},
        "training": info.training,
        "accuracy": accuracy,
    }
    (folder / "MODEL_CARD.md").write_text(model_card(manifest), encoding="utf-8")
    names = [*manifest["networks"].values(), "MODEL_CARD.md"]
    manifest["files"] = {name: _fingerprint(folder / name) for name in names}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return manifest


def _fingerprint(path: Path) -> dict:
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
