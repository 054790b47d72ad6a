"""What importing costs and what works without the compiled core; each in a fresh process."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

HEAVY = ["torch", "matplotlib", "nibabel", "scipy", "onnx", "onnxruntime", "openvino", "pydicom"]
WITHOUT_CORE = "import sys; sys.modules['cardiacseg._core'] = None; "


def python(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_importing_imports_numpy_and_the_core_alone():
    loaded = python(f"import cardiacseg, sys; print([name for name in {HEAVY} if name in sys.modules])")
    assert loaded.strip() == "[]"


def test_segmenting_imports_what_it_needs(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    stack = np.random.default_rng(0).integers(0, 200, (48, 64, 3), dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(stack, np.diag([1.5, 1.5, 8, 1])), tmp_path / "stack.nii")
    words = ["segment", tmp_path / "stack.nii", "-o", tmp_path / "out", "--no-report"]
    never = ["torch", "scipy.ndimage", "onnx", "openvino", "pydicom", "highdicom", "pynetdicom", "fontTools.ttLib"]
    loaded = python(
        f"from cardiacseg.cli import main; import sys; assert main({[str(word) for word in words]}) == 0; "
        f"import nibabel; print([name for name in {never} if name in sys.modules])"
    )
    assert loaded.splitlines()[-1] == "[]"
    assert (tmp_path / "out/labels.nii.gz").is_file()


def test_every_public_name_is_there_and_listed():
    python("import cardiacseg; assert all(hasattr(cardiacseg, name) for name in cardiacseg.__all__)")


def test_the_version_is_the_packages():
    python(
        "import cardiacseg, importlib.metadata; "
        "assert cardiacseg.__version__ == importlib.metadata.version('cardiacseg')"
    )


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("module", ["cardiacseg.models", "cardiacseg.training.loop", "cardiacseg.training.data"])
def test_models_and_training_need_no_core(module):
    python(f"{WITHOUT_CORE}import {module}; assert 'cardiacseg.segmenter' not in sys.modules")


def test_what_needs_the_core_says_how_to_get_it():
    shown = python(
        f"{WITHOUT_CORE}import cardiacseg\n"
        "try:\n    cardiacseg.CardiacSegmenter\nexcept ImportError as error:\n    print(error)"
    )
    assert "CardiacSegmenter" in shown and "pip install ." in shown
    python(f"{WITHOUT_CORE}import cardiacseg; assert not hasattr(cardiacseg, 'nonsense')")


def test_a_core_that_lacks_something_else_is_not_hidden():
    code = "import sys; sys.modules['numpy'] = None; import cardiacseg"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.returncode != 0 and "numpy" in run.stderr
