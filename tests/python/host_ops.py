"""The operations on the host as a Python module. The first use of one builds the extension ``_ops`` from a dozen files;
it needs neither OpenVINO nor a GPU. It stays in ``build/host_ops``, so later runs build what has changed."""

import fcntl
import functools
import importlib.util
import os
import sys
import sysconfig
from pathlib import Path

from conftest import run_command

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/host_ops"


@functools.cache
def built():
    BUILD.mkdir(parents=True, exist_ok=True)
    this_run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    with open(BUILD / "lock", "a+") as lock:  # one process of a test run builds, others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if this_run == "" or lock.read() != this_run:
            build()
            lock.truncate(0)
            lock.write(this_run)
    file = BUILD / "python/bindings/ops" / f"_ops{sysconfig.get_config_var('EXT_SUFFIX')}"
    spec = importlib.util.spec_from_file_location("_ops", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build():
    run_command(
        *("cmake", "--fresh", "-G", "Ninja", "-S", ROOT, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release"),
        *("-DCARDIACSEG_BUILD_RUNTIME=OFF", "-DCARDIACSEG_BUILD_PYTHON=ON", "-DCARDIACSEG_BUILD_TESTS=ON"),
        *("-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF", "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON"),
        f"-DPython_EXECUTABLE={sys.executable}",
    )
    run_command("cmake", "--build", BUILD, "-j", min(4, os.cpu_count() or 1), "--target", "_ops")


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(built(), name)
