"""Writing a bundle: networks, manifest with digests, model card. Reading its weights back, to continue training.

A bundle is written as a whole or not at all.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch

from cardiacseg.export.onnx import check_parity, export_graph, stage_graphs
from cardiacseg.models import SegmentationSystem, create_model
from cardiacseg.training.config import Preprocessing

FORMAT_VERSION = 1
CROP_MULTIPLE = 16  # required by the runtime
INTENDED_USE = (
    "Segmentation of the right ventricle, the myocardium and the left ventricle in short-axis cardiac cine MRI, "
    "for research. Not a medical device; not for diagnosis or treatment."
)


@dataclass(frozen=True)
class BundleInfo:
    """Facts of a bundle for its manifest. ``training`` and ``accuracy`` are JSON-ready and shown in the model card.

    ``temperature`` divides the last stage's logits, ``quality`` predicts a stack's mean Dice from the agreement of
    both stages (``{"intercept": a, "slope": b}``, or None), and ``clean_up`` lets the runtime keep the
    largest component and fill holes.
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
    and may add to the manifest (:func:`cardiacseg.export.parity_gate.record_bf16`). Raises ``ValueError``
    for a crop that the networks do not accept, ``FileExistsError`` if ``output`` exists and ``overwrite`` is not
    set, and ``ParityError`` if an exported graph is not its network; ``output`` is then as it was.
    """
    _check_crop(model, preprocessing.crop_pixels, info.model)
    with new_bundle_folder(output, overwrite) as work:
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
    return manifest


@contextmanager
def new_bundle_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """A folder that takes the place of ``output`` if the block ends without an error, and else is removed.

    Raises ``FileExistsError`` if ``output`` exists and ``overwrite`` is not set.
    """
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; give another folder or ask to overwrite it")
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        yield work
        work.chmod(0o755)
        _take_place(work, output)
    finally:
        shutil.rmtree(work, ignore_errors=True)


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


def model_card(manifest: dict) -> str:
    """The model card in Markdown, made from the manifest only, so that both agree."""
    preprocessing = manifest["preprocessing"]
    stages = "Seg and Ref then see" if "ref" in manifest["networks"] else "Seg then sees"
    method = "Method:" if manifest["model"].startswith("seg_ref_mt") else "For comparison with the method of"
    sections = [
        f"# {manifest['name']} {manifest['version']}",
        manifest["intended_use"],
        f"Licence of the weights: {manifest['licence']}.",
        "## What it is\n\n"
        f"Model `{manifest['model']}`, {manifest['parameters'] / 1e6:.2f} million parameters. A locator finds the "
        f"heart in the whole field of view at {preprocessing['locate']['spacing_mm']} mm; {stages} "
        f"{preprocessing['crop_pixels']} x {preprocessing['crop_pixels']} pixels of {preprocessing['spacing_mm']} mm "
        f"round it. Intensities between the percentiles {preprocessing['percentiles'][0]:g} and "
        f'{preprocessing["percentiles"][1]:g} of a stack become 0 to 1. {method} Chen et al., "Enhancing Cardiac MRI '
        'Segmentation via Classifier-Guided Two-Stage Network and All-Slice Information Fusion Transformer", 2023.',
        _after_the_networks(manifest),
        _training(manifest["training"]),
        _accuracy(manifest["accuracy"]),
        "## Limits\n\n"
        "For short-axis cine of adults: not for long-axis views, late enhancement, congenital disease, children or "
        "implants. Accuracy on data unlike those above was not measured. Apical and basal slices are the least "
        "certain. Look at every result before you use it.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _after_the_networks(manifest: dict) -> str:
    sentences = []
    if manifest.get("temperature", 1.0) != 1.0:
        sentences.append(f"Logits are divided by {manifest['temperature']:.3f} before the probabilities are made.")
    if quality := manifest.get("quality"):
        sentences.append(
            "The predicted quality of a stack, an estimate of its mean Dice, is "
            f"{quality['intercept']:.3f} + {quality['slope']:.3f} x the mean Dice of Seg's labels against Ref's."
        )
    if manifest.get("clean_up"):
        sentences.append("In each slice only the largest region of a structure is kept, and its holes are filled.")
    return "## After the networks\n\n" + " ".join(sentences) if sentences else ""


def _training(training: dict) -> str:
    if not training:
        return ""
    return "## Training\n\n" + "\n".join(f"- {key}: {value}" for key, value in training.items())


def _accuracy(accuracy: dict) -> str:
    if not accuracy:
        return "## Accuracy\n\nNot measured."
    dice = accuracy["dice"]
    rows = ["| Dice | RV | MYO | LV | mean |", "|---|---|---|---|---|"]
    rows.append(_row("whole stack", dice["volume"]))
    rows.extend(_row(level, dice[level]) for level in ("base", "mid", "apex") if level in dice)
    notes = [
        f"On {accuracy['patients']} patients, {accuracy['stacks']} stacks (ED and ES): {accuracy['data']}.",
        "\n".join(rows),
        f"Presence of a structure in a slice is right in {100 * accuracy['presence_accuracy']:.1f} % of cases.",
    ]
    return "## Accuracy\n\n" + "\n\n".join(notes)


def _row(title: str, values: dict) -> str:
    cells = [f"{values[key]:.3f}" for key in ("rv", "myo", "lv")]
    return f"| {title} | " + " | ".join([*cells, f"{values['mean']:.3f}"]) + " |"


_COUNTER = ".num_batches_tracked"  # a training counter that nothing uses and no graph holds


class BundleWeights(NamedTuple):
    """The registered model's name, what it expects of a stack, and its ``state_dict``, exactly as exported."""

    model: str
    preprocessing: Preprocessing
    tensors: dict[str, torch.Tensor]


def load_bundle_weights(folder: str | PathLike[str]) -> BundleWeights:
    """Read the weights of the model that the bundle's manifest names from the bundle's ONNX files.

    Raises ``FileNotFoundError`` if a file is missing, and ``ValueError`` if one is not what the manifest says
    or the graphs do not hold the weights of that model.
    """
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise FileNotFoundError(f"no bundle at {folder}: it holds no manifest.json")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    expected = create_model(manifest["model"]).state_dict()
    found = {name: tensor for name, tensor in expected.items() if name.endswith(_COUNTER)}
    for stage, name in manifest["networks"].items():
        if fingerprint(folder / name) != manifest["files"][name]:
            raise ValueError(f"{folder / name} is not the file that the manifest describes: its SHA-256 differs")
        found.update(_read_graph(folder / name, stage))
    _check_fit(found, expected, f"the bundle {folder} does not fit its model {manifest['model']!r}")
    return BundleWeights(
        manifest["model"], _preprocessing(manifest["preprocessing"]), {name: found[name] for name in expected}
    )


def _preprocessing(rules: dict) -> Preprocessing:
    return Preprocessing(
        spacing_mm=rules["spacing_mm"],
        crop_pixels=rules["crop_pixels"],
        locate_spacing_mm=rules["locate"]["spacing_mm"],
        percentiles=tuple(rules["percentiles"]),
    )


def _read_graph(path: Path, stage: str) -> dict[str, torch.Tensor]:
    """A graph's weights, by the names that they have in the whole model."""
    import onnx

    return {
        stage + tensor.name.removeprefix("network"): torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.startswith("network.")
    }


def _check_fit(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], complaint: str) -> None:
    if missing := sorted(expected.keys() - found.keys()):
        raise ValueError(f"{complaint}: {len(missing)} weights are missing, the first {missing[0]!r}")
    if foreign := sorted(found.keys() - expected.keys()):
        raise ValueError(f"{complaint}: {len(foreign)} weights are not the model's, the first {foreign[0]!r}")
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise ValueError(f"{complaint}: {name!r} must be {list(tensor.shape)}, got {list(found[name].shape)}")
