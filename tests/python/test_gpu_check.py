"""tools/gpu_check.py without a GPU: what it says and does not do, how its lines come about, what it builds."""

import json
import os
import re
import runpy
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.gpu_checks import CLEAN_SUMMARY, Check, Outcome, gpu_names, line, run_all, run_check, tail

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(gpu_names() != [], reason="these are about a machine without a GPU")


def tool(name, *words, **environment):
    command = [sys.executable, ROOT / "tools" / name, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})


def python(code, limit=60.0, **more):
    return Check(more.pop("name", "a check"), [sys.executable, "-c", code], limit, **more)


@pytest.fixture(scope="module")
def gpu_check():
    return runpy.run_path(str(ROOT / "tools/gpu_check.py"), run_name="gpu_check")


@pytest.fixture
def arguments(tmp_path):
    return Namespace(build=tmp_path, limit=30.0, architectures="90-real", match="", only=None, json=None)


@pytest.fixture
def nvcc(tmp_path):
    """A stand-in, so that the sentence about the GPU is reached on a machine without CUDA too."""
    program = tmp_path / "nvcc"
    program.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n")
    program.chmod(0o755)
    return program


def test_without_a_gpu_one_sentence_and_exit_code_2(nvcc, tmp_path):
    run = tool("gpu_check.py", "--build", tmp_path / "build", PATH=f"{nvcc.parent}:{os.environ['PATH']}")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "gpu_check: the CUDA driver shows no GPU on this machine: nothing was checked\n"
    assert not (tmp_path / "build").exists()


def test_without_nvcc_another_sentence_and_exit_code_2(gpu_check, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu_check.py"])
    monkeypatch.setitem(gpu_check["main"].__globals__, "find_program", lambda name: None)
    assert gpu_check["main"]() == 2
    assert capsys.readouterr().err.startswith("gpu_check: no nvcc on the PATH")


def test_without_a_gpu_or_the_module_the_benchmark_says_which(tmp_path):
    run = tool("bench_kernels.py", "--build", tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert re.fullmatch(r"bench_kernels: .*(benchmarks\._cuda.*|sees no GPU.*): nothing was measured\n", run.stderr)


@pytest.mark.parametrize("name", ["gpu_check.py", "bench_kernels.py"])
def test_help_says_what_the_exit_codes_mean(name):
    run = tool(name, "--help")
    assert run.returncode == 0 and "Exit code: 0" in run.stdout and "2 if there is no GPU" in run.stdout


def test_every_part_is_listed():
    lines = tool("gpu_check.py", "--list").stdout.splitlines()
    assert [text.split()[0] for text in lines] == ["build", "tests", "pipeline", "sanitizer", "bench", "engines"]


@pytest.mark.parametrize(
    ("code", "result", "detail"),
    [
        ("print('3 passed, 0 failed'); print('done')", "passed", "3 passed, 0 failed"),
        ("print('1 passed, 2 failed'); raise SystemExit(1)", "failed", "1 passed, 2 failed (exit code 1)"),
        ("print('first'); print('last words')", "passed", "last words"),
        ("pass", "passed", ""),
        ("import no_such_module", "failed", "ModuleNotFoundError: No module named 'no_such_module' (exit code 1)"),
        ("import os; os.kill(os.getpid(), 11)", "failed", " (exit code -11)"),
    ],
)
def test_how_a_check_went(code, result, detail, tmp_path):
    outcome = run_check(python(code), tmp_path, tmp_path)
    assert (outcome.result, outcome.detail, outcome.good) == (result, detail, result == "passed")


def test_a_check_past_its_limit_is_ended_with_what_it_started(tmp_path):
    child = "import time; time.sleep(2); open('late', 'w')"
    code = f"import subprocess, sys; print('begun', flush=True); subprocess.run([sys.executable, '-c', {child!r}])"
    outcome = run_check(python(code, limit=1.0), tmp_path, tmp_path)
    assert (outcome.result, outcome.detail) == ("timed out", "ended after 1 s") and outcome.seconds < 4
    assert "begun" in tail(outcome)
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()


def test_a_program_that_is_not_there_fails_alone(tmp_path):
    outcome = run_check(Check("gone", [str(tmp_path / "no_program")], 5.0), tmp_path, tmp_path)
    assert outcome.result == "failed" and outcome.detail.startswith("could not be started")
    assert tail(outcome) == ""


@pytest.mark.parametrize(
    ("printed", "result"),
    [
        ("========= ERROR SUMMARY: 0 errors", "passed"),
        ("========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", "passed"),
        ("========= RACECHECK SUMMARY: 1 hazard displayed (0 errors, 1 warning)", "failed"),
        ("========= ERROR SUMMARY: 10 errors", "failed"),
        ("Target application terminated before first instrumented API call", "failed"),
    ],
)
def test_a_sanitizer_must_say_that_it_found_nothing(printed, result, tmp_path):
    assert run_check(python(f"print({printed!r})", must_print=CLEAN_SUMMARY), tmp_path, tmp_path).result == result


def test_one_failure_does_not_stop_the_others(tmp_path):
    shown = []
    rows = [
        python("raise SystemExit(3)", name="bad"),
        Outcome("absent", "not found", "why"),
        python("pass", name="good"),
    ]
    outcomes = run_all(rows, tmp_path, tmp_path, shown.append)
    assert [one.result for one in outcomes] == ["failed", "not found", "passed"]
    assert shown == [line(one) for one in outcomes]


def test_checks_get_their_environment(tmp_path):
    code = "import os; print(os.environ['CARDIACSEG_SANITIZER'])"
    assert run_check(python(code, environment={"CARDIACSEG_SANITIZER": "7"}), tmp_path, tmp_path).detail == "7"


def test_sanitizers_watch_each_test_with_each_tool(gpu_check, arguments, monkeypatch):
    tests = [{"name": "kernel_x_cuda", "command": ["/b/kernel_x_cuda"]}]
    monkeypatch.setitem(gpu_check["sanitizer_checks"].__globals__, "gpu_tests", lambda build, label="gpu": tests)
    found = gpu_check["sanitizer_checks"](arguments, "/s/compute-sanitizer")
    assert [one.command[2] for one in found] == ["memcheck", "racecheck", "initcheck", "synccheck"]
    assert all("--error-exitcode" in one.command and one.command[-1] == "/b/kernel_x_cuda" for one in found)
    assert all(one.environment == {"CARDIACSEG_SANITIZER": "1"} for one in found)
    absent = gpu_check["sanitizer_checks"](arguments, "not found")
    assert [one.result for one in absent] == ["not found"] * 4


def test_the_pipeline_runs_plainly_and_under_memcheck(gpu_check, arguments, monkeypatch):
    tests = {"pipeline": [{"name": "device_pipeline_cuda", "command": ["/b/device_pipeline_cuda"]}], "gpu": []}
    monkeypatch.setitem(gpu_check["main"].__globals__, "gpu_tests", lambda build, label="gpu": tests[label])
    plain, watched = gpu_check["pipeline_checks"](arguments, "/s/compute-sanitizer")
    assert plain.name == "test device_pipeline_cuda" and "^pipeline$" in plain.command
    assert plain.must_print.search("29 passed, 0 failed") and not plain.must_print.search("0 passed, 0 failed")
    assert watched.command[1:3] == ["--tool", "memcheck"] and watched.command[-1] == "/b/device_pipeline_cuda"
    tests["pipeline"].clear()
    assert gpu_check["pipeline_checks"](arguments, "/s/compute-sanitizer")[0].result == "failed"


def test_a_build_without_tests_is_a_failure(gpu_check, arguments):
    found = gpu_check["test_checks"](arguments)
    assert found[0].result == "failed" and found[1].name == "Python API"


def test_every_kind_of_engine_is_built_and_timed(gpu_check, arguments):
    found = {one.name: one for one in gpu_check["engine_checks"](arguments, "/c/nvcc")}
    kinds = list(gpu_check["ENGINES"])
    assert list(found)[-1] == "bench engines" and [f"engines {kind}" in found for kind in kinds] == [True] * 4
    bench = found["bench engines"].command
    for kind in kinds:
        build = found[f"engines {kind}"]
        assert f"{kind}={build.command[build.command.index('-o') + 1]}" in bench
        assert build.environment["PYTHONPATH"] == str(arguments.build / "site")
        assert build.must_print.search("seg  3.1  40.0  yes  seg.engine") and not build.must_print.search(
            "no  a.engine"
        )


def test_the_benchmark_of_engines_says_why_it_measured_nothing(tmp_path):
    run = tool("bench_gpu.py", "--engines", f"mine={tmp_path}")
    assert (run.returncode, run.stdout) == (2, "")
    assert re.fullmatch(r"bench_gpu: mine is left out: .*\nbench_gpu: nothing was measured\n", run.stderr)


def test_what_lacks_pytorch_is_skipped_with_the_reason(gpu_check, arguments):
    rows = gpu_check["test_checks"](arguments) + gpu_check["bench_checks"](arguments)
    lacking = gpu_check["needs_torch"](rows, {"PyTorch": "not found", "pybind11": "3.0"})
    assert {one.detail for one in lacking[1:]} == {"PyTorch not found"} and lacking[0].result == "failed"
    assert gpu_check["needs_torch"](rows, {"PyTorch": "2.11", "pybind11": "3.0"}) == rows


def test_the_report_counts_and_is_written(gpu_check, arguments, tmp_path, capsys):
    arguments.json = tmp_path / "report.json"
    (tmp_path / "gpu_check").mkdir()
    (tmp_path / "gpu_check/bench_inter.json").write_text(json.dumps({"text": "| a table |", "cases": []}))
    log = tmp_path / "bad.log"
    log.write_text("what it said")
    outcomes = [Outcome("good", "passed", ""), Outcome("bad", "failed", "", 1.0, str(log)), Outcome("x", "skipped", "")]
    assert gpu_check["report"](arguments, {"GPU": "none"}, outcomes) == 1
    printed = capsys.readouterr().out
    assert "what it said" in printed and "| a table |" in printed and "1 passed, 1 failed, 1 skipped" in printed
    assert [row["result"] for row in json.loads(arguments.json.read_text())["rows"]] == ["passed", "failed", "skipped"]
    assert gpu_check["report"](arguments, {"GPU": "none"}, [outcomes[0], outcomes[2]]) == 0
