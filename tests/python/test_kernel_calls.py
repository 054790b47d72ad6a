"""The kernels' benchmark and self-test, run from end to end on the CPU with a fake benchmarks._cuda and
a fake clock: everything but the kernels and their times."""

import argparse
import importlib
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import fake_cuda
import pytest
import torch

import benchmarks
from benchmarks import table, timing
from benchmarks.timing import Ceilings, Times
from benchmarks.workloads import AttentionWorkload, ImageWorkload

ROOT = Path(__file__).parents[2]
MODULES = [f"benchmarks.{name}" for name in ("calls", "kernel_benchmarks", "self_test")]
SMALL = {"slices": 2, "rows": 30, "columns": 34, "column_spacing": 1.1, "crop": 16}


class Watch:
    def times(self, call, launches=1):
        call()
        return Times(10.0, 8.0, 6.0)


@pytest.fixture
def kernels(monkeypatch):
    """The modules that import benchmarks._cuda, with the fake one, on the CPU and at small sizes."""
    monkeypatch.setitem(sys.modules, "benchmarks._cuda", fake_cuda)
    monkeypatch.setattr(benchmarks, "_cuda", fake_cuda, raising=False)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = {name.rpartition(".")[2]: importlib.import_module(name) for name in MODULES}
    monkeypatch.setattr(found["calls"], "stream", lambda: 0)
    for name in found:
        monkeypatch.setattr(found[name], "DEVICE", "cpu")
    monkeypatch.setattr(
        found["kernel_benchmarks"],
        "attention_workloads",
        lambda across: [AttentionWorkload(across, 25, 2, 144, 64, 2, "float16")],
    )
    monkeypatch.setattr(
        found["kernel_benchmarks"],
        "image_workloads",
        lambda kernel: [ImageWorkload(kernel, stacks, "float16", **SMALL) for stacks in (1, 25)],
    )
    monkeypatch.setattr(found["kernel_benchmarks"], "copy_times", lambda stopwatch, total: Times(9.0, 7.0, 5.0))
    yield found
    for name in MODULES:
        sys.modules.pop(name, None)
        delattr(benchmarks, name.rpartition(".")[2])


def test_every_benchmark_runs_and_is_written(kernels, monkeypatch, tmp_path, capsys):
    ceilings = Ceilings(1e12, {"float16": 1e14, "float32": 1e13})
    monkeypatch.setattr(timing, "Stopwatch", Watch)
    monkeypatch.setattr(timing, "measure_ceilings", lambda stopwatch: ceilings)
    tool = runpy.run_path(str(ROOT / "tools/bench_kernels.py"), run_name="bench_kernels")
    arguments = argparse.Namespace(only=tool["KERNELS"], compile="none", json=tmp_path / "bench.json")
    assert tool["measure"](arguments)
    printed = capsys.readouterr().out
    report = json.loads(arguments.json.read_text())
    assert [workload["case"].get("kernel", workload["case"].get("across")) for workload in report["cases"]] == [
        "slices",
        "positions",
        *("fusion",) * 2,
        *("percentiles",) * 2,
        *("preprocessing",) * 2,
    ]
    assert all(workload["rows"][0]["times"]["cold_us"] == 10.0 for workload in report["cases"])
    assert printed.count("TARGET ") == 6 and report["text"].count("TARGET ") == 6
    assert "wrong result" not in printed and "PyTorch quantile" in printed and "SDPA math, contiguous" in printed


def test_a_wrong_kernel_fails_the_benchmark_and_gets_no_time(kernels, monkeypatch):
    monkeypatch.setattr(fake_cuda, "intra_slice_attention", lambda *arguments: None)  # leaves NaNs
    (measured,) = kernels["kernel_benchmarks"].results_of("intra", Watch(), lambda workload: False)
    assert not measured.passed and measured.rows[0].note.startswith("wrong result")
    assert "not right" in table.target_lines([measured], Ceilings(1e12, {"float16": 1e14}))[0]


def test_the_checks_of_the_python_api_pass_on_a_right_module(kernels, monkeypatch):
    self_test = kernels["self_test"]
    monkeypatch.setattr(self_test, "HEADS", ((32, 2, 7), (48, 6, 5)))

    class Graph:
        def __init__(self, call):
            self.replay = call

    monkeypatch.setattr(self_test, "capture", lambda call: Graph(call))
    monkeypatch.setattr(self_test, "refuses_the_cpu", lambda: True)
    monkeypatch.setattr(self_test, "ImageWorkload", lambda kernel, stacks, dtype, **more: ImageWorkload(
        kernel, stacks, dtype, **{**SMALL, **more}))  # fmt: skip
    shown = []
    assert self_test.run(self_test.all_checks(), shown.append), shown
    assert shown == ["21 passed, 0 failed"]
    monkeypatch.setattr(fake_cuda, "mask_fusion", lambda **arguments: None)
    shown.clear()
    assert not self_test.run(self_test.all_checks(), shown.append)
    assert shown[-1] == "19 passed, 2 failed" and shown[0].startswith("FAILED fusion")


def test_a_check_that_breaks_is_one_failure(kernels):
    shown = []
    checks = [("breaks", lambda: 1 / 0), ("holds", lambda: True)]
    assert not kernels["self_test"].run(iter(checks), shown.append)
    assert shown == ["FAILED breaks: ZeroDivisionError: division by zero", "1 passed, 1 failed"]
    assert not kernels["self_test"].run(iter([]), shown.append)


def test_torch_compile_is_measured_on_the_shipped_sizes(kernels):
    shipped = AttentionWorkload("slices", 1, 10, 144, 192, 6, "float16")
    main = kernels["kernel_benchmarks"].compiled_workloads("main")
    assert main(shipped) and not main(replace(shipped, channels=128, heads=4))
    assert not main(replace(shipped, dtype="float32")) and main(ImageWorkload("fusion", 1, "float16"))
    assert kernels["kernel_benchmarks"].compiled_workloads("all")(replace(shipped, dtype="float32"))
    assert not kernels["kernel_benchmarks"].compiled_workloads("none")(shipped)


def test_counts_and_probabilities_must_fit(kernels):
    logits, origins = torch.zeros(2, 4, 8, 8), torch.zeros(1, 2, dtype=torch.int32)
    fuse = kernels["calls"].mask_fusion
    with pytest.raises(ValueError, match=r"counts: expected torch.int32 \[2, 4\], got torch.int64 \[2, 4\]"):
        fuse(logits, None, origins, (9, 9), (1, 1), 1.0, counts=torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"presence: expected torch.float32 \[2, 3\], got torch.float32 \[3, 2\]"):
        fuse(logits, torch.zeros(3, 2), origins, (9, 9), (1, 1), 1.0)
    with pytest.raises(ValueError, match="of 3 stacks"):
        fuse(logits, None, torch.zeros(3, 2, dtype=torch.int32), (9, 9), (1, 1), 1.0)
