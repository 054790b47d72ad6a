"""Facts about the installation on this machine: versions, backends, bundled models, and latency warm and cold."""

import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from cardiacseg import _core
from cardiacseg.errors import BackendError, Error
from cardiacseg.io.json_files import RESEARCH_USE, versions
from cardiacseg.phantom import beating_heart
from cardiacseg.segmenter import explain_device


def describe_installation() -> dict[str, Any]:
    """JSON-ready facts about this installation. No network is loaded on the CPU."""
    return {
        "core_version": _core.__version__,
        "versions": versions(),
        "platform": platform.platform(),
        "backends": [dict(backend) for backend in _core.list_backends()],
        "auto": _automatic_choice(),
        "compiled_networks": _compiled_networks(),
        "models": bundled_models(Path(__file__).with_name("bundles")),
        "intended_use": RESEARCH_USE,
    }


def _automatic_choice() -> dict[str, str | None]:
    """The choice of ``device="auto"`` and ``precision="auto"`` for the default model, or why there is none."""
    try:
        return dict(explain_device())
    except Error as error:
        return {"backend": None, "device": None, "reason": str(error), "precision": None, "precision_reason": None}


def _compiled_networks() -> dict[str, str | int | None]:
    """Networks compiled for the CPU: the folder of their files (``None``: none are kept) and the size limits."""
    folder = _core.compiled_networks_folder()
    files = list(folder.glob("*.blob")) if folder != Path() else []
    return {
        "folder": str(folder) if folder != Path() else None,
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "limit_bytes": _core.CACHE_BYTES,
        "memory_limit_bytes": _core.COMPILED_BYTES,
    }


def bundled_models(folder: Path) -> list[dict[str, Any]]:
    """Name, version, model, licence and temperature (``None`` without) of each bundle in ``folder``.

    They come from its manifest; a damaged manifest is reported as such.
    """
    models = []
    for manifest in sorted(folder.glob("*/manifest.json")):
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
            facts = {key: str(content[key]) for key in ("name", "version", "model", "licence")}
            temperature = content.get("temperature")
            models.append({**facts, "temperature": None if temperature is None else float(temperature)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            unknown = dict.fromkeys(("version", "model"), "unknown")
            damaged = {"licence": f"damaged manifest: {error}", "temperature": None}
            models.append({"name": manifest.parent.name, **unknown, **damaged})
    return models


_IMPORT = "import time; start = time.perf_counter(); import cardiacseg; print(time.perf_counter() - start)"
_FIRST_RESULT = """
import sys
import numpy as np
import cardiacseg
model, device, precision = sys.argv[1:4]
threads, slices = map(int, sys.argv[4:6])
image = np.random.default_rng(0).integers(0, 1000, (slices, 208, 224), dtype=np.uint16)
segmenter = cardiacseg.CardiacSegmenter(model, device=device, threads=threads, precision=precision)
segmenter.run(image, spacing=(8.0, 1.4, 1.5))
"""


def run_bench(slices: int, repeats: int, settings: tuple[str, str, int, str]) -> dict[str, Any]:
    """Times in ms for one stack of ``slices`` slices, as a JSON-ready dict; ``settings`` is (model, device,
    threads, precision).

    ``latency_*`` is the wall time of ``CardiacSegmenter.run`` after two warm-up runs, ``cold_start_ms`` the time from
    the start of a new process to its first result, ``import_ms`` that of ``import cardiacseg`` in a new process (the
    median of three). On the CPU, if ``precision`` is "auto", fp32 and bf16 run alternately: ``precisions`` holds the
    latency and the stages of both, or ``not_run`` with the reason.
    """
    phantom = beating_heart(frames=1, slices=slices)
    model, device, threads, precision = settings
    segmenters, not_run = _segmenters(*settings)
    times: dict[str, list[float]] = {name: [] for name in segmenters}
    results = {}
    for _ in range(repeats + 2):
        for name, segmenter in segmenters.items():
            start = time.perf_counter()
            results[name] = segmenter.run(phantom.image[0], spacing=phantom.spacing)
            times[name].append((time.perf_counter() - start) * 1000)
    rows = {name: _latency(times[name][2:], results[name].report.stages) for name in segmenters}
    start = time.perf_counter()
    _run_python(_FIRST_RESULT, model, device, precision, str(threads), str(slices))
    cold_start_ms = (time.perf_counter() - start) * 1000
    taken = next(iter(segmenters))
    report = results[taken].report
    return {
        "slices": slices,
        "rows": phantom.image.shape[2],
        "columns": phantom.image.shape[3],
        "repeats": repeats,
        "model": report.model,
        "backend": report.backend,
        "device": report.device,
        "precision": report.precision,
        **rows[taken],
        "cold_start_ms": cold_start_ms,
        "import_ms": float(np.median([float(_run_python(_IMPORT)) * 1000 for _ in range(3)])),
        "precisions": {**rows, **{name: {"not_run": reason} for name, reason in not_run.items()}},
    }


def _segmenters(model: str, device: str, threads: int, precision: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Segmenters by precision, first the one that ``precision`` selects, and why another one is not available."""
    from cardiacseg.segmenter import CardiacSegmenter

    taken = CardiacSegmenter(model, device=device, threads=threads, precision=precision)
    segmenters, not_run = {taken.precision: taken}, {}
    on_cpu = taken.device == "cpu"
    for other in ("fp32", "bf16") if on_cpu and precision == "auto" else ():
        if other in segmenters:
            continue
        try:
            segmenters[other] = CardiacSegmenter(model, device=device, threads=threads, precision=other)
        except BackendError as error:
            not_run[other] = str(error)
    return segmenters, not_run


def _latency(times: list[float], stages: dict[str, float]) -> dict[str, Any]:
    return {
        "latency_p50_ms": float(np.percentile(times, 50)),
        "latency_p95_ms": float(np.percentile(times, 95)),
        "stages_ms": dict(stages),
    }


def _run_python(program: str, *arguments: str) -> str:
    """Standard output of a new Python process. Raises ``BackendError`` if it fails."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackendError(f"a new Python process for the measurement failed with exit code {done.returncode}: {last}")
    return done.stdout
