"""The rows of tools/bench.py: what cannot run is named, the others take turns."""

import runpy
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/bench.py"


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(TOOL), run_name="bench")


def absent_library():
    import cardiacseg_no_such_library  # noqa: F401


def test_a_row_that_cannot_run_is_named_with_its_reason(bench):
    def not_on_this_cpu():
        raise bench["NotRunError"]("no bf16 here")

    makers = {"here": lambda: lambda: None, "library": absent_library, "precision": not_on_this_cpu}
    calls, not_run = bench["make_calls"](makers)
    assert list(calls) == ["here"]
    assert not_run == {"library": "No module named 'cardiacseg_no_such_library'", "precision": "no bf16 here"}


def test_a_mistake_in_a_row_is_no_missing_library(bench):
    with pytest.raises(ZeroDivisionError):
        bench["make_calls"]({"broken": lambda: 1 / 0})


def test_rows_take_turns(bench):
    seen = []
    samples = bench["take_turns"]({name: lambda name=name: seen.append(name) for name in "ab"}, rounds=3)
    assert seen == list("ababab")
    assert [len(times) for times in samples.values()] == [3, 3]


def test_the_table_compares_every_row_with_each_precision_of_ours(bench):
    fp32, bf16 = bench["OURS"].values()
    time = {"p50_ms": 20.0, "p95_ms": 30.0}
    table = bench["table"](
        {
            "stack": "10 x 208 x 224",
            "cpu": "a CPU",
            "threads": 2,
            "gflop": 70.0,
            "latency": {fp32: time, bf16: time, "other": time},
            "cine": {},
            "start": {"import cardiacseg": time},
            "times_slower": {"than fp32": {"other": 1.5}, "than bf16": {"other": 3.25}},
            "not_run": {"another": "No module named 'another'"},
            "stages_ms": {"fp32": {"seg": 12.0}},
            "share_of_gemm_peak": {
                "fp32": {"gflop_per_second": 50.0, "gemm_peak_gflop_per_second": 100.0, "share": 0.5}
            },
        }
    )
    assert "| other | 20 | 30 | 1.50 | 3.25 |" in table
    assert "| import cardiacseg | 20 | 30 |  |  |" in table
    assert "not run: another: No module named 'another'" in table
    assert "50 % of this machine's fp32 GEMM peak of 100 GFLOP/s" in table
