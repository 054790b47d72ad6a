"""The parity gates: engines on this machine's GPU, and bf16 on its CPU, against the bundle's networks in float32."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from cardiacseg.errors import BackendError
from cardiacseg.export.engine_options import EngineOptions
from cardiacseg.io.output import write_bytes
from cardiacseg.segmenter import CardiacSegmenter, Parity, list_backends

FINE_MM = 1.5


class ParityGateError(RuntimeError):
    """Engines whose outputs are too far from the CPU's. They are not saved."""


def pass_gate(bundle: Path, engines: Path, options: EngineOptions, preprocessing: dict) -> str | None:
    """Run the engines of the folder ``engines`` on synthetic hearts, in the best and the largest shape of the options.

    Returns None if the engines passed and are marked as verified, else the reason why they cannot run here. Raises
    :class:`ParityGateError` with the figures.
    """
    backend = next(entry for entry in list_backends() if entry["name"] == options.flavour)
    if not backend["available"]:
        return backend["reason"]
    try:
        segmenter = CardiacSegmenter(bundle, device="cuda", engines=engines)
    except BackendError as error:
        if options.compute_capabilities:  # this GPU may be none of those
            return str(error)
        raise
    for size in (2, 1):  # of each range: the largest, the best
        cine, spacing = _beating_heart(options.frames[size], options.slices[size], options.size[size], preprocessing)
        parity = segmenter.verify(cine, spacing=spacing)
        if not parity.passed:
            raise ParityGateError(f"the engines failed the parity gate and were not saved: {parity.summary}")
    return None


def _beating_heart(frames: int, slices: int, coarse_side: int, preprocessing: dict):
    """A cine of ``frames`` different frames in one batch; its coarse picture has about ``coarse_side`` pixels."""
    from cardiacseg.phantom import beating_heart

    seen_mm = preprocessing["crop_pixels"] * preprocessing["spacing_mm"]
    if "locate" in preprocessing:
        seen_mm = coarse_side * preprocessing["locate"]["spacing_mm"]
    side = max(128, int(seen_mm / FINE_MM))
    phantom = beating_heart(frames=frames, slices=slices, size=(side, side), spacing=(8.0, FINE_MM, FINE_MM), seed=1)
    return phantom.image, phantom.spacing


Stack = tuple[np.ndarray, tuple[float, float, float]]


def synthetic_stacks() -> Iterator[Stack]:
    """Synthetic hearts, each an image ``[1, S, H, W]`` and its spacing."""
    from cardiacseg.phantom import beating_heart

    for seed, slices, size in ((1, 10, (208, 224)), (2, 6, (160, 176)), (3, 14, (256, 256))):
        phantom = beating_heart(frames=1, slices=slices, size=size, spacing=(8.0, 1.5, 1.5), seed=seed)
        yield phantom.image, phantom.spacing


def _layers(first: int = 0, last: int = 0, *, others: bool = False, everything: bool = False) -> dict:
    return {"everything": everything, "first_layers": first, "last_layers": last, "other_operations": others}


# Parts of a stage that stay in float32, from the cheapest step to the most exact one. The first layer sees the image,
# the last layers have the finest maps, and operations that are not layers are cheap compared with layers.
FLOAT32_STEPS = (
    _layers(),
    _layers(8),
    _layers(1, others=True),
    _layers(1, 7, others=True),
    _layers(8, 7, others=True),
    _layers(everything=True),
)


def measure_bf16(bundle: Path, stacks: Iterable[Stack]) -> dict:
    """The entry ``bf16`` of a manifest's ``precisions``: the parts that stay in float32 to keep the labels.

    The labels are those of ``stacks``. Each stage gets the first of ``FLOAT32_STEPS`` that passes the gate on all
    stacks. The entry also holds the worst figures over all stacks for each stage. Raises :class:`ParityGateError` if
    every stage would need float32 throughout, and :class:`BackendError` if this machine's CPU does not compute in bf16.
    """
    stacks, steps, failure = list(stacks), {}, ""
    with tempfile.TemporaryDirectory() as work:
        trial = Path(shutil.copytree(bundle, Path(work) / "bundle"))
        while True:
            stages, failed = _measure(trial, stacks, steps)
            if not failed:
                break
            failure = failure or failed.summary
            for stage in (entry["stage"] for entry in failed.stages if not entry["passed"]):
                steps[stage] = steps.get(stage, 0) + 1
    if not stages:
        raise ParityGateError("the gate needs at least one stack")
    if all(steps.get(stage) == len(FLOAT32_STEPS) - 1 for stage in stages):
        raise ParityGateError(f"the bundle does not keep its labels in bf16: {failure}")
    return {"passed": True, "stacks": len(stacks), "float32": _float32(steps), "stages": stages}


def _float32(steps: Mapping[str, int]) -> dict[str, dict]:
    return {stage: FLOAT32_STEPS[step] for stage, step in steps.items()}


def _measure(trial: Path, stacks: list[Stack], steps: Mapping[str, int]) -> tuple[dict[str, dict], Parity | None]:
    """The worst figures over all stacks, or the first failed result; its stack is moved to the front of ``stacks``."""
    path = trial / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["precisions"] = {"bf16": {"passed": False, "float32": _float32(steps)}}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    segmenter = CardiacSegmenter(trial, device="cpu", precision="bf16", cache="off")
    stages: dict[str, dict] = {}
    for index, (image, spacing) in enumerate(stacks):
        parity = segmenter.verify(image, spacing=spacing)
        if not parity.passed:
            stacks.insert(0, stacks.pop(index))
            return {}, parity
        for stage in parity.stages:
            stages[stage["stage"]] = _worst(stages.get(stage["stage"]), stage)
    return stages, None


def _worst(known: Mapping | None, found: Mapping) -> dict:
    """The larger differences, the lower Dice, and sums of voxels."""
    entry = {key: found[key] for key in ("probability_difference", "largest_gap", "voxels", "differing")}
    entry["dice"] = list(found["dice"])
    if known is not None:
        for key in ("probability_difference", "largest_gap"):
            entry[key] = max(entry[key], known[key])
        for key in ("voxels", "differing"):
            entry[key] += known[key]
        entry["dice"] = [min(pair) for pair in zip(entry["dice"], known["dice"], strict=True)]
    return entry


def record_bf16(bundle: Path, stacks: Iterable[Stack], data: str) -> str | None:
    """Run the gate for ``bundle`` and write the result into its manifest; ``data`` describes the stacks.

    Returns None if the bundle passed, else the reason why nothing is recorded; an older record is then removed.
    """
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    known = manifest.pop("precisions", {})
    reason = None
    try:
        record = {"bf16": {"data": data, **measure_bf16(bundle, stacks)}}
    except (BackendError, ParityGateError) as error:
        record, reason = {}, str(error)
    precisions = {name: entry for name, entry in known.items() if name != "bf16"} | record
    if precisions:
        manifest["precisions"] = precisions
    if precisions != known:
        write_bytes(path, (json.dumps(manifest, indent=2, allow_nan=False) + "\n").encode())
    return reason
