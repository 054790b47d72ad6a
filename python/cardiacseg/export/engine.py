"""Engines of a bundle: built stage by stage, checked by the parity gate if there is a GPU, and saved together.

Nothing is saved unless every engine was built and none failed the gate. Needs onnx and a provider library of TensorRT,
not torch.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cardiacseg import _core
from cardiacseg.errors import BackendError, BundleError, BundleNotFoundError
from cardiacseg.export.engine_graph import EngineGraph, engine_graph
from cardiacseg.export.engine_options import EngineOptions, input_ranges
from cardiacseg.export.parity_gate import pass_gate
from cardiacseg.io.output import write_bytes

READING = "reading the graph"  # the provider's first phase, whose time is negligible


class BuildState(NamedTuple):
    """``done`` is the fraction of the whole build that is finished, ``seconds_left`` an estimate; None without one
    yet."""

    stage: str
    phase: str
    done: float
    seconds_left: float | None


class BuildClock:
    """Reports the progress of stages, in this order, to ``report``; their times are assumed proportional to
    ``sizes``."""

    def __init__(self, sizes: dict[str, int], report: Callable[[BuildState], None], now=time.monotonic):
        self._sizes, self._report, self._now = sizes, report, now
        self._finished = 0
        self._fraction = 0.0
        self._start = now()

    def start(self, stage: str) -> Callable[[str, int, int], None]:
        """The function to call with a phase of ``stage``, its current step and its number of steps."""
        self._fraction = 0.0

        def progress(phase: str, step: int, steps: int) -> None:
            if phase != READING:  # a later phase does not move the fraction back
                self._fraction = max(self._fraction, min(1.0, step / max(1, steps)))
            self._report_state(stage, phase)

        return progress

    def finish(self, stage: str) -> None:
        """``stage`` is built."""
        self._finished += self._sizes[stage]
        self._fraction = 0.0
        self._report_state(stage, "built")

    def _report_state(self, stage: str, phase: str) -> None:
        done = (self._finished + self._fraction * self._sizes[stage] * (phase != "built")) / sum(self._sizes.values())
        spent = self._now() - self._start
        self._report(BuildState(stage, phase, done, spent * (1 - done) / done if done > 0 else None))


@dataclass(frozen=True)
class SavedEngine:
    """An engine file. ``unverified``: the reason why the parity gate was not run; None if it was passed."""

    stage: str
    path: Path
    seconds: float
    unverified: str | None = None
    inspection: str = ""


def engines_folder(folder: Path | None = None) -> Path:
    """``folder``, or the folder that a segmenter searches for engines.

    Raises :class:`BackendError` if there is none.
    """
    return Path(_core.engines.folder(folder or ""))


def build_engines(
    bundle: Path,
    folder: Path,
    options: EngineOptions,
    *,
    report: Callable[[BuildState], None] = lambda state: None,
    timing_cache: Path | None = None,
    inspect: bool = False,
    overwrite: bool = False,
) -> list[SavedEngine]:
    """Build the engines of every stage of ``bundle`` into ``folder``, in the stages' order.

    ``timing_cache`` (by default a file in ``folder``) is read if it exists, and updated after each stage. With
    ``inspect`` the results hold the engine inspector's JSON. Raises :class:`BackendError` if the library, its provider
    or a GPU that it needs is missing, ``FileExistsError`` if there are such engines and ``overwrite`` is not set,
    :class:`EngineGraphError` for a graph that cannot be built with these options, :class:`ParityGateError`, and errors
    of reading the bundle. After an error nothing is saved.
    """
    provider = _provider(options.flavour)
    manifest, files = _read_bundle(bundle)
    if not overwrite:
        _refuse_existing(folder, options, provider, files)
    graphs = {stage: _graph(content, options, provider) for stage, content in files.items()}
    folder.mkdir(parents=True, exist_ok=True)
    timing_cache = timing_cache or folder / f"{options.flavour}-{provider['library_version']}.timings"
    work = Path(tempfile.mkdtemp(prefix=".building-", dir=folder))
    try:
        clock = BuildClock({stage: len(graph.onnx) for stage, graph in graphs.items()}, report)
        built = []
        for stage, graph in graphs.items():
            request = _request(stage, graph, files[stage], manifest, options)
            request |= {
                "folder": work,
                "inspect": inspect,
                "timing_cache": timing_cache.read_bytes() if timing_cache.is_file() else b"",
            }
            built.append(_build(stage, request, clock, timing_cache))
        unverified = pass_gate(bundle, work, options, manifest["preprocessing"])
        return _save_all([replace(engine, unverified=unverified) for engine in built], folder, overwrite)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _provider(flavour: str) -> dict:
    found = next(entry for entry in _core.engines.providers() if entry["flavour"] == flavour)
    if not found["available"]:
        raise BackendError(f"no engine of {flavour} can be built here: {found['reason']}")
    return found


def _read_bundle(bundle: Path) -> tuple[dict, dict[str, bytes]]:
    """The manifest, and the ONNX file of each stage."""
    if not (bundle / "manifest.json").is_file():
        raise BundleNotFoundError(f"no bundle at {bundle}: it holds no manifest.json")
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    if "window_pixels" in manifest["preprocessing"]:
        raise BackendError(
            f"{bundle}: this bundle runs on the CPU: its network sees windows of a slice, as nnU-Net's do"
        )
    files = {}
    for stage, name in manifest["networks"].items():
        files[stage] = (bundle / name).read_bytes()
        if _sha256(files[stage]) != manifest["files"][name]["sha256"]:
            raise BundleError(f"{bundle / name} is not the file that the manifest describes: its SHA-256 differs")
    return manifest, files


def _graph(onnx_file: bytes, options: EngineOptions, provider: dict) -> EngineGraph:
    return engine_graph(
        onnx_file,
        precision=options.precision,
        plugin=options.plugin,
        opset=provider["largest_opset"],
        weak=not provider["strongly_typed"],
    )


def _refuse_existing(folder: Path, options: EngineOptions, provider: dict, files: dict[str, bytes]) -> None:
    requested = {
        "flavour": options.flavour,
        "library_version": provider["library_version"],
        "precision": options.precision,
        "plugin": options.plugin,
    }
    if options.compute_capabilities or provider["flavour"] == "tensorrt_rtx":
        requested["compute_capabilities"] = list(options.compute_capabilities)
    digests = {_sha256(content) for content in files.values()}
    for path in sorted(folder.glob("*.engine")):
        try:
            info = _core.engines.info(path)
        except BackendError:
            continue  # not an engine file, or a damaged one
        if info["onnx_sha256"] in digests and requested.items() <= info.items():
            _refuse(path)


def _request(stage: str, graph: EngineGraph, onnx_file: bytes, manifest: dict, options: EngineOptions) -> dict:
    return {
        "flavour": options.flavour,
        "model": manifest["name"],
        "stage": stage,
        "onnx_sha256": _sha256(onnx_file),
        "precision": options.precision,
        "plugin": options.plugin,
        "inputs": input_ranges(stage, graph.inputs, options, manifest["preprocessing"]),
        "outputs": graph.outputs,
        "onnx": graph.onnx,
        "float32_nodes": graph.float32_nodes,
        "compute_capabilities": list(options.compute_capabilities),
    }


def _build(stage: str, request: dict, clock: BuildClock, timing_cache: Path) -> SavedEngine:
    start = time.monotonic()
    built = _core.engines.build(**request, progress=clock.start(stage))
    if built["timing_cache"]:
        write_bytes(timing_cache, built["timing_cache"])
    clock.finish(stage)
    return SavedEngine(stage, Path(built["path"]), time.monotonic() - start, inspection=built["inspection"])


def _save_all(built: list[SavedEngine], folder: Path, overwrite: bool) -> list[SavedEngine]:
    for engine in built:
        if not overwrite:
            _refuse(folder / engine.path.name)
    saved = [replace(engine, path=folder / engine.path.name) for engine in built]
    for engine, place in zip(built, saved, strict=True):
        os.replace(engine.path, place.path)
    return saved


def _refuse(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists; give another folder or ask to overwrite it")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
