"""Types of the public API, as users' type checkers see them, and the compiled core's stub."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cardiacseg

pytest.importorskip("mypy", reason="mypy is not installed")

ROOT = Path(__file__).parents[2]
PACKAGE = Path(cardiacseg.__file__).parent
LABELS = """
import numpy as np
import numpy.typing as npt
import cardiacseg

def plain(result: cardiacseg.Result) -> npt.NDArray[np.uint8]:
    return result.labels

def use(segmenter: cardiacseg.CardiacSegmenter, image: npt.NDArray[np.float32], either: bool) -> None:
    on_host = segmenter.run(image, spacing=(8, 1, 1))
    plain(on_host).sum()
    on_device = segmenter.run(image, spacing=(8, 1, 1), device_labels=True)
    on_device.labels.__dlpack_device__()
    on_device.labels.sum()  # type: ignore[attr-defined]
    plain(on_device)  # type: ignore[arg-type]
    segmenter.run(image, spacing=(8, 1, 1), device_labels=either)
    segmenter.run(image, spacing="8 1 1")  # type: ignore[call-overload]
"""


def mypy(*words, module="mypy", cwd=ROOT):
    """What it finds wrong."""
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)
    return done.stdout + done.stderr if done.returncode else ""


def test_the_public_api_is_strictly_typed(tmp_path):
    """And so are the README's lines of Python, for whoever copies them."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    (tmp_path / "readme.py").write_text(f"import numpy as np\n\nimage = np.zeros((10, 208, 224))\n{code}")
    (tmp_path / "labels.py").write_text(LABELS)
    cache = tmp_path / "cache"
    assert mypy("--cache-dir", cache) == ""
    assert mypy("--cache-dir", cache, tmp_path / "readme.py", tmp_path / "labels.py") == ""


def test_the_types_are_shipped():
    assert {"py.typed", "_core.pyi"} <= {path.name for path in PACKAGE.iterdir()}


def test_the_stub_of_the_core_is_true(tmp_path):
    # pybind11 gives its classes a metaclass, and one without a constructor an __init__ that refuses.
    known = ("CardiacSegmenter", "DeviceLabels", "DeviceLabels.__init__", "MeasurementOptions")
    (tmp_path / "known").write_text("".join(f"cardiacseg._core.{name}\n" for name in known))
    assert mypy("cardiacseg._core", "--allowlist", tmp_path / "known", module="mypy.stubtest", cwd=tmp_path) == ""
