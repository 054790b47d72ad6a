"""Does a bundle keep its labels in bf16? The parity gate on this machine's CPU, and what the manifest records of it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from cardiacseg.errors import BackendError
from cardiacseg.export.engine_gate import ParityGateError
from cardiacseg.io.output import write_bytes
from cardiacseg.segmenter import CardiacSegmenter

Stack = tuple[np.ndarray, tuple[float, float, float]]


def synthetic_stacks() -> Iterator[Stack]:
    """Synthetic hearts, each an image ``[1, S, H, W]`` and its spacing."""
    from cardiacseg.phantom import beating_heart

    for seed, slices, size in ((1, 10, (208, 224)), (2, 6, (160, 176)), (3, 14, (256, 256))):
        phantom = beating_heart(frames=1, slices=slices, size=size, spacing=(8.0, 1.5, 1.5), seed=seed)
        yield phantom.image, phantom.spacing


def measure_bf16(bundle: Path, stacks: Iterable[Stack]) -> dict:
    """The entry ``bf16`` of a manifest's ``precisions``: the worst numbers of all ``stacks``, stage by stage.

    Raises :class:`ParityGateError` with the numbers of the first stack whose labels are not kept, and
    :class:`BackendError` if this machine's CPU does not compute in bf16.
    """
    segmenter = CardiacSegmenter(bundle, device="cpu", precision="bf16", cache="off")
    stages: dict[str, dict] = {}
    count = 0
    for image, spacing in stacks:
        parity = segmenter.verify(image, spacing=spacing)
        if not parity.passed:
            raise ParityGateError(f"the bundle does not keep its labels in bf16: {parity.summary}")
        for stage in parity.stages:
            stages[stage["stage"]] = _worst(stages.get(stage["stage"]), stage)
        count += 1
    return {"passed": count > 0, "stacks": count, "stages": stages}


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
    """Run the gate for ``bundle`` and write what it found into its manifest; ``data`` says what the stacks are.

    Returns None if the bundle passed, else why nothing is recorded; a record that was there is then taken out.
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
