"""How a test run is spread over processes, and what its tests share: the tree of the C++ tests, a bundle of a tiny
network with random weights, a cine to run it on, pages."""

import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

# Before PyTorch is imported, and for the processes that tests start: its threads wait by spinning, so that two in each
# of two processes on two cores take ten times the processor time of one in each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SPACING = (8.0, 1.5, 1.25)


def run_command(*words, cwd=None):
    """What a command that must succeed prints; where it fails, the end of that is the test's message."""
    run = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, timeout=3000)
    assert run.returncode == 0, f"{words}\n{run.stdout[-6000:]}\n{run.stderr[-6000:]}"
    return run.stdout


def pytest_xdist_auto_num_workers(config):
    """``pytest`` alone uses all cores, up to four; a run of named files is one process."""
    return 0 if config.args_source is config.ArgsSource.ARGS else min(4, os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files that need the C++ tree come first, so that no long one is left for the end."""
    first = {item.path for item in items if "simulated_build" in item.fixturenames}
    items.sort(key=lambda item: item.path not in first)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """``with shared_folder(name) as folder``: a folder that all processes of a test run share, one at a time."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    @contextmanager
    def locked(name):
        (base / name).mkdir(exist_ok=True)
        with open(base / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield base / name

    return locked


@pytest.fixture(scope="session", autouse=True)
def own_cache(shared_folder):
    """Networks that tests compile are kept for other tests, not in the user's cache."""
    before = os.environ.get("CARDIACSEG_CACHE")
    with shared_folder("cache") as folder:
        os.environ["CARDIACSEG_CACHE"] = str(folder / "networks")
    yield
    if before is None:
        del os.environ["CARDIACSEG_CACHE"]
    else:
        os.environ["CARDIACSEG_CACHE"] = before


@pytest.fixture(scope="session")
def simulated_build(shared_folder):
    """Builds targets of the one tree of all C++ tests, with a simulated GPU in place of CUDA; gives its folder."""
    switches = ("WITH_CUDA", "SIMULATED_GPU", "WITH_TENSORRT", "BUILD_TESTS", "BUILD_PYTHON", "RELOCATABLE")
    configure = (
        *("cmake", "-G", "Ninja", "-S", Path(__file__).parents[2], "-DCMAKE_BUILD_TYPE=Release"),
        *(f"-DCARDIACSEG_{switch}=ON" for switch in switches),
        *("-DCMAKE_CXX_FLAGS_RELEASE=-O1", "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON"),
        "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF",  # which pybind11 would switch on
        "-DCMAKE_INSTALL_RPATH_USE_LINK_PATH=ON",  # as tools/gpu_check.py has it
        f"-DPython_EXECUTABLE={sys.executable}",
    )

    def build(*targets):
        with shared_folder("simulated") as folder:
            if not (folder / "build.ninja").exists():
                run_command(*configure, "-B", folder)
            run_command("cmake", "--build", folder, "-j", min(4, os.cpu_count() or 1), "--target", *targets)
        return folder

    return build


@pytest.fixture(scope="session")
def tiny_model():
    import torch
    from random_weights import randomise

    from cardiacseg.models import create_model

    torch.manual_seed(1)  # with these weights `cine` below has every label, and gates that are open and shut
    model = create_model("seg_ref_mt_tiny").eval()
    randomise(model, torch.nn.functional.interpolate(torch.rand(6, 1, 9, 9), size=(144, 144), mode="bilinear")[:, None])
    return model


@pytest.fixture(scope="session")
def tiny_bundle(request, shared_folder):
    with shared_folder("bundles") as folder:
        if not (folder / "tiny").exists():
            from cardiacseg.export.bundle import BundleInfo, export_bundle
            from cardiacseg.training.config import Preprocessing

            model = request.getfixturevalue("tiny_model")
            export_bundle(model, Preprocessing(), BundleInfo("tiny", "1", "seg_ref_mt_tiny"), folder / "tiny")
    return folder / "tiny"


@pytest.fixture(scope="session")
def segmenter(tiny_bundle):
    import cardiacseg

    return cardiacseg.CardiacSegmenter(tiny_bundle)


@pytest.fixture(scope="session")
def cine():
    """Smooth blobs ``[3, 2, 90, 112]``, whole numbers from 0 to 200, another picture in each frame."""
    coarse = np.random.default_rng(0).random((3, 2, 8, 9))
    rows, columns = np.linspace(0, 7, 90), np.linspace(0, 8, 112)
    along_rows = np.maximum(0, 1 - np.abs(rows[:, None] - np.arange(8)))
    along_columns = np.maximum(0, 1 - np.abs(columns[:, None] - np.arange(9)))
    blobs = along_rows @ coarse @ along_columns.T
    return np.round(200 * blobs).astype(np.float32)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A real browser without a screen; its tests skip where there is none."""
    from headless_browser import running

    yield from running(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="session")
def page_case():
    """What the report's tests show: discs that beat, with flags and a made-up run."""
    from segmented_discs import discs, segmented

    return segmented(*discs())


@pytest.fixture(scope="session")
def page_file(page_case, tmp_path_factory):
    from cardiacseg.io.report import write_page

    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, page_case)
    return path


@pytest.fixture
def page(chromium, page_file):
    """The HTML report of ``page_case`` in the browser, which must not complain or ask for anything."""
    yield chromium.open(page_file)
    assert chromium.complaints() == []
    assert chromium.requests() == []
