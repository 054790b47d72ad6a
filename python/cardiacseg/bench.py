"""Latency of the segmenter on this machine, warm and from a cold start."""

import subprocess
import sys
import time
from typing import Any

import numpy as np

from cardiacseg.errors import BackendError
from cardiacseg.phantom import beating_heart

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

    ``latency_*`` is the wall time of ``CardiacSegmenter.run`` after two warm-up runs, ``cold_start_ms`` from the start
    of a new process to its first result, ``import_ms`` that of ``import cardiacseg`` in a new process (the median of
    three). On the CPU, if ``precision`` is "auto", fp32 and bf16 run alternately: ``precisions`` holds the latency and
    the stages of both, or ``not_run`` with the reason.
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
