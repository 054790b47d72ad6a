"""What the installed package holds, as its wheel brought it: SBOM, licences, and OpenVINO as a wheel of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import cardiacseg

ROOT = Path(__file__).parents[2]
PACKAGE = Path(cardiacseg.__file__).parent
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the core as an ELF file, and /proc")


@pytest.fixture(scope="module")
def installed():
    """The distribution that the imported package belongs to."""
    for found in metadata.distributions(name="cardiacseg"):
        if Path(found.locate_file("cardiacseg")) == PACKAGE and found.files:
            return found
    # Where a wheel is tested, this file must not be skipped.
    assert "CIBUILDWHEEL" not in os.environ
    pytest.skip(f"cardiacseg in {PACKAGE.parent} is not installed from a wheel")


@pytest.fixture(scope="module")
def sbom(installed):
    return json.loads(installed.read_text("sboms/cardiacseg.cdx.json"))


def required(installed, name):
    return next(re.match(rf"{name}==([\w.]+)", line)[1] for line in installed.requires if line.startswith(name))


def python(code, folder=None):
    """The process that runs ``code``, with ``folder`` before all others for imports."""
    first = f"import sys; sys.path.insert(0, {str(folder)!r})\n" if folder else ""
    return subprocess.run([sys.executable, "-I", "-c", first + code], capture_output=True, text=True, timeout=300)


def test_the_sbom_names_what_is_inside(installed, sbom):
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    assert sbom["metadata"]["component"]["version"] == installed.version == cardiacseg.__version__
    versions = {component["name"]: component["version"] for component in sbom["components"]}
    assert versions.keys() >= {"pybind11", "nlohmann-json", "openvino-headers", "default-model"}
    assert versions["openvino-headers"] == required(installed, "openvino")
    assert versions["default-model"] == json.loads((PACKAGE / "bundles/default/manifest.json").read_text())["version"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in versions.values())


def test_licences_of_what_is_inside_are_there(installed, sbom):
    texts = {name: installed.read_text(f"licenses/{name}") for name in installed.metadata.get_all("License-File")}
    assert "Apache License" in texts["LICENSE"]
    assert "Redistributions in binary form" in texts["third_party/pybind11.txt"]
    assert "Copyright (c) 2013-2025 Niels Lohmann" in texts["third_party/nlohmann-json.txt"]
    # LICENSE, the model card and GCC's runtime exception cover these; who builds with CUDA has accepted its licence.
    known = {"openvino-headers", "default-model", "libstdc++", "cuda-runtime"}
    named = {Path(name).stem for name in texts}
    assert {component["name"] for component in sbom["components"]} <= named | known
    assert installed.metadata["License-Expression"] == "Apache-2.0 AND CC-BY-NC-SA-4.0"
    assert "CC BY-NC-SA 4.0" in (PACKAGE / "bundles/default/MODEL_CARD.md").read_text()


def test_the_wheel_holds_one_library(installed):
    libraries = [str(path) for path in installed.files if re.search(r"\.(so|dylib|dll|pyd)\b", path.name)]
    if "CIBUILDWHEEL" in os.environ and sys.platform == "linux":
        assert "manylinux_" in installed.read_text("WHEEL")
        assert len(libraries) == 1
    assert any(path.startswith("cardiacseg/_core.") for path in libraries)
    assert not [path for path in libraries if re.search("openvino|tbb|stdc", path)]
    assert not [path for path in installed.files if path.suffix in (".h", ".cc", ".a")]


@linux
def test_the_run_path_leads_to_openvino_beside_it(installed):
    core = next(PACKAGE.glob("_core.*.so")).read_bytes()
    assert b"\0$ORIGIN/../openvino/libs\0" in core
    assert b"site-packages/openvino/libs\0" not in core, "the core names a folder of the machine that built it"


MAPPED = """
import cardiacseg, re
cardiacseg.list_backends()
import openvino
openvino.Core().available_devices
lines = open("/proc/self/maps").read()
print(*sorted(set(re.findall(r"/.*/lib(?:openvino|tbb)[.]so[.].*", lines))), sep="\\n")
"""


@linux
def test_openvino_is_loaded_once(installed):
    """The core and OpenVINO's own Python module use the same libraries, those of the wheel openvino."""
    done = python(MAPPED)
    assert done.returncode == 0, done.stderr
    libraries = [Path(line) for line in done.stdout.splitlines()]
    folder = Path(metadata.distribution("openvino").locate_file("openvino/libs")).resolve()
    assert sorted(path.name.split(".")[0] for path in libraries) == ["libopenvino", "libtbb"]
    assert {path.resolve().parent for path in libraries} == {folder}


@linux
@pytest.mark.parametrize("other", ["2026.3.0", None])
def test_another_openvino_is_refused_in_one_sentence(installed, other, tmp_path):
    """The package in a folder in which OpenVINO has another version, or in which there is none."""
    shutil.copytree(PACKAGE, tmp_path / "cardiacseg", ignore=shutil.ignore_patterns("bundles", "__pycache__"))
    if other:
        (tmp_path / f"openvino-{other}.dist-info").mkdir()
        (tmp_path / f"openvino-{other}.dist-info/METADATA").write_text(f"Name: openvino\nVersion: {other}\n")
    done = python("import cardiacseg", tmp_path)
    wanted = required(installed, "openvino")
    found = f"{other} in {tmp_path}" if other else f"{wanted} in {PACKAGE.parent}"
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: cardiacseg loads the libraries of OpenVINO: expected openvino {wanted} in {tmp_path}, "
        f"got {found}; run `pip install openvino=={wanted}`"
    )


def test_the_tests_of_wheels_exist():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    commands = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]["test-command"]
    named = re.findall(r"\{project\}/(\S+)", " ".join(commands))
    assert "tests/python/test_installed.py" in named
    assert [name for name in named if not (ROOT / name).is_file()] == []
