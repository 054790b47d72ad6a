"""What a machine has for building, running and checking the kernels. Needs the standard library alone."""

import ctypes
import datetime
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NOT_FOUND = "not found"


def gpu_names() -> list[str]:
    """Names of the GPUs that the driver shows; none without a driver. Makes no context."""
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
    """What a command prints; "not found" where it is not there or fails."""
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
