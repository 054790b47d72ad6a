"""Commands run one after another, each with a time limit and a line in one table; a failure does not stop the others.
Also the tools of this machine for building, running and checking the kernels.

Needs only the standard library.
"""

import contextlib
import ctypes
import datetime
import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# The last of these in a command's output describes its result best.
TELLING = re.compile(r"(?:\w+ SUMMARY: .*|\d+ passed, \d+ failed|TARGET .*|\S*[Ee]rror: .*|.* Error: .*)")
CLEAN_SUMMARY = re.compile(r"SUMMARY: 0 (errors|hazards)")
NOT_FOUND = "not found"
GOOD = ("passed", NOT_FOUND, "skipped")


@dataclass(frozen=True)
class Check:
    """A command, and a pattern that its output must have besides exit code 0."""

    name: str
    command: Sequence[str]
    limit: float  # seconds
    environment: dict[str, str] = field(default_factory=dict)
    must_print: re.Pattern | None = None


@dataclass(frozen=True)
class Outcome:
    check: str
    result: str  # passed, failed, timed out, not found, skipped
    detail: str
    seconds: float = 0.0
    log: str = ""  # file with the whole output

    @property
    def good(self) -> bool:
        return self.result in GOOD


def run_check(check: Check, folder: Path, cwd: Path) -> Outcome:
    """Run it with its output in a file in ``folder``. After its limit it is ended with its children."""
    log = folder / f"{re.sub(r'[^A-Za-z0-9]+', '_', check.name).strip('_')}.log"
    start = time.monotonic()
    try:
        code = _run(check, log, cwd)
    except OSError as error:
        return Outcome(check.name, "failed", f"could not be started: {error}", time.monotonic() - start)
    seconds, text = time.monotonic() - start, log.read_text(errors="replace")
    if code is None:
        return Outcome(check.name, "timed out", f"ended after {check.limit:g} s", seconds, str(log))
    silent = check.must_print is not None and not check.must_print.search(text)
    detail = telling_line(text) + (f" (exit code {code})" if code else "")
    if silent and not code:
        detail += f" (expected a line with {check.must_print.pattern!r})"
    return Outcome(check.name, "failed" if code or silent else "passed", detail, seconds, str(log))


def _run(check: Check, log: Path, cwd: Path) -> int | None:
    """Exit code; None if the limit ended it."""
    with open(log, "w") as output:
        process = subprocess.Popen(
            check.command,
            cwd=cwd,
            env={**os.environ, **check.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(check.limit)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                return None
            raise


def telling_line(text: str) -> str:
    """The last line with a result, else the last non-empty line, at most 100 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [found[0] for line in lines if (found := TELLING.search(line))]
    return (telling or lines or [""])[-1][:100]


def line(outcome: Outcome) -> str:
    return f"| {outcome.check:<44} | {outcome.result:<9} | {outcome.detail} ({outcome.seconds:.0f} s) |"


def run_all(checks: Sequence[Check | Outcome], folder: Path, cwd: Path, show: Callable[[str], None]) -> list[Outcome]:
    """Every check's outcome, shown when it is finished; outcomes in ``checks`` are passed through."""
    outcomes = []
    for check in checks:
        outcome = run_check(check, folder, cwd) if isinstance(check, Check) else check
        show(line(outcome))
        outcomes.append(outcome)
    return outcomes


def tail(outcome: Outcome, lines: int = 25) -> str:
    """The end of a failed check's output."""
    if not outcome.log:
        return ""
    text = Path(outcome.log).read_text(errors="replace").splitlines()
    return "\n".join([f"--- {outcome.check}: {outcome.log}", *text[-lines:]])


def gpu_names() -> list[str]:
    """Names of the GPUs that the driver shows; none without a driver. Creates no context."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count, name = ctypes.c_int(0), ctypes.create_string_buffer(256)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    names = []
    for index in range(count.value):
        device = ctypes.c_int()
        if driver.cuDeviceGet(ctypes.byref(device), index) == 0 and driver.cuDeviceGetName(name, 256, device) == 0:
            names.append(name.value.decode())
    return names


def find_program(name: str, *folders: Path) -> str | None:
    """On the PATH, else in ``folders``, else in the CUDA toolkit's usual places."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    places = [*folders, *(Path(home) / "bin" for home in homes if home)]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, places)))


def says(*command: str | None) -> str:
    """A command's output; "not found" if it is missing or fails."""
    try:
        run = subprocess.run([word for word in command if word], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return NOT_FOUND
    return run.stdout.strip() if run.returncode == 0 else NOT_FOUND


def describe(nvcc: str) -> dict[str, str]:
    torch = "import torch; print(torch.__version__, '(GPU)' if torch.cuda.is_available() else '(sees no GPU)')"
    release = re.search(r"release [\d.]+, V([\d.]+)", says(nvcc, "--version"))
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "GPU": ", ".join(gpu_names()) or "none",
        "driver": says("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "nvcc": f"{release[1] if release else 'unknown'} ({nvcc})",
        "PyTorch": says(sys.executable, "-c", torch),
        "pybind11": version_of("pybind11"),
        "CMake": says("cmake", "--version").splitlines()[0],
        "ninja": says("ninja", "--version"),
        "compute-sanitizer": find_sanitizer(nvcc) or NOT_FOUND,
    }


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return NOT_FOUND


def find_sanitizer(nvcc: str) -> str | None:
    folder = Path(nvcc).resolve().parent
    return find_program("compute-sanitizer", folder, folder.parent / "compute-sanitizer")
