"""Who may use whom, as CONTRIBUTING.md says, read from the sources."""

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python/cardiacseg"
HEAVY = {
    "torch",
    "nibabel",
    "matplotlib",
    "scipy",
    "pydicom",
    "highdicom",
    "onnx",
    "onnxruntime",
    "openvino",
    "distributed",
}
STANDARD = r"<[a-z_0-9]+>"
PLAIN_HEADERS = '"cardiacseg/(labels|pixel_type).h"'  # of the public ones, those that only name numbers

# folder or file pattern in cpp/ -> what its #include lines may name
MAY_INCLUDE = {
    "include/cardiacseg/*.h": [STANDARD, "<(stddef|stdint).h>", '"cardiacseg/.*"'],
    "src/ops/*.h": [STANDARD, '"ops/.*[.]h"', PLAIN_HEADERS],
    "src/ops/*_host.cc": [STANDARD, '"ops/.*[.]h"', PLAIN_HEADERS],
    "src/ops/*.cu*": [STANDARD, "<cuda_runtime.h>", '"ops/.*"', '"cuda/.*"', PLAIN_HEADERS],
    "src/cuda/*": [STANDARD, "<(cuda_runtime|dlfcn).h>", '"cuda/.*"'],
    "src/backends/backend.h": [STANDARD, '"ops/device.h"'],
    "src/backends/registry.h": [STANDARD, '"cardiacseg/.*"', '"backends/backend.h"', '"bundle/bundle.h"'],
    "src/backends/openvino/*": [
        STANDARD,
        "<openvino/.*>",
        '"cardiacseg/(cardiac_segmenter|compiled_networks|error).h"',
        '"backends/backend.h"',
        '"backends/openvino/.*"',
        '"bundle/float32_layers.h"',
        '"files/.*"',
    ],
    "src/backends/tensorrt/*.*": [
        STANDARD,
        "<nlohmann/.*>",
        "<(dlfcn|fcntl|link|poll|signal|spawn|sys/wait|unistd).h>",
        '"cardiacseg/.*"',
        '"backends/backend.h"',
        '"backends/tensorrt/[a-z_]*.h"',
        '"cuda/.*"',
        '"files/.*"',
        '"ops/device.h"',
        '"text.h"',
    ],
    "src/backends/tensorrt/provider/*": [
        STANDARD,
        "<Nv(Infer|OnnxParser).h>",
        "<(cuda_runtime|dlfcn|link).h>",
        '"cardiacseg/(engines|error).h"',
        '"backends/tensorrt/provider.h"',
        '"backends/tensorrt/provider/.*"',
        '"cuda/(buffer|copy|launch|stream).h"',
        '"ops/(device|scalar|slice_attention|slice_attention_cuda).h"',
    ],
    "src/bundle/*": [STANDARD, '"cardiacseg/error.h"', '"bundle/.*"', '"files/.*"', "<nlohmann/.*>"],
    "src/c_api/*": [STANDARD, "<nlohmann/.*>", '"cardiacseg/.*"', '"c_api/.*"', '"backends/process.h"'],
    "src/text.h": [STANDARD],
    "src/files/*": [STANDARD, "<(cpuid|immintrin).h>", "<nlohmann/.*>", '"cardiacseg/error.h"', '"files/.*"'],
    "src/measure/*": [STANDARD, '"cardiacseg/.*"', '"measure/.*"', '"ops/read_row.h"', '"text.h"'],
    "src/pipeline/*": [
        STANDARD,
        '"cardiacseg/.*"',
        '"ops/.*"',
        '"bundle/bundle.h"',
        '"backends/backend.h"',
        '"pipeline/.*"',
        '"cuda/.*"',
        '"text.h"',
    ],
    "../python/bindings/*.cc": [
        STANDARD,
        "<pybind11/.*>",
        '"(arrays|device_labels|dlpack|long_call|pixel_types).h"',
        '"cardiacseg/.*"',
        '"ops/region_sizes.h"',
    ],
    "../python/bindings/ops/*.cc": [STANDARD, "<pybind11/.*>", '"(arrays|pixel_types).h"', '"ops/.*"'],
    "../python/bindings/cuda/*": [STANDARD, "<pybind11/.*>", '"ops/.*"', '"pointers.h"'],
    "examples/*.cc": [STANDARD, "<cardiacseg/.*>"],
}


@pytest.mark.parametrize("pattern", MAY_INCLUDE)
def test_includes(pattern):
    files = list((ROOT / "cpp").glob(pattern))
    assert files
    allowed = re.compile("|".join(MAY_INCLUDE[pattern]))
    for path in files:
        for name in re.findall(r"^\s*#\s*include\s+(\S+)", path.read_text(), re.MULTILINE):
            assert allowed.fullmatch(name), f"{path.relative_to(ROOT)} includes {name}"


def test_the_host_pipeline_knows_nothing_of_cuda():
    for path in (ROOT / "cpp/src/pipeline").iterdir():
        names = re.findall(r'^#include "((?:cuda/|ops/.*_cuda).*)"', path.read_text(), re.MULTILINE)
        assert not names or path.name.startswith(("device_", "stream_pool.")), f"{path.name} includes {names}"


def test_public_headers_have_no_conditions():
    for path in (ROOT / "cpp/include").rglob("*.h"):
        if path.name == "cardiacseg.h":
            continue  # C and C++ alike include it
        assert not re.search(r"^\s*#\s*(if|ifdef|ifndef|define)", path.read_text(), re.MULTILINE), path


def test_build_switches_are_read_in_one_place():
    sources = [path for path in (ROOT / "cpp").rglob("*") if path.suffix in (".h", ".cc", ".cu")]
    found = {path.name for path in sources if "CARDIACSEG_WITH_" in path.read_text()}
    assert found == {"registry.cc"}


def waits(node):
    """Whether what is inside does not run at import: a function, or what only type checkers read."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


@functools.cache
def imports(path, whole=True):
    """Modules that a file imports, with ``whole`` also those inside functions."""
    tree = ast.parse(path.read_text())
    inside = {node for block in ast.walk(tree) if waits(block) for node in ast.walk(block)}
    names = set()
    for node in ast.walk(tree):
        if not whole and node in inside:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def uses(path, module, whole=True):
    return any(name == module or name.startswith(module + ".") for name in imports(path, whole))


def sources(*patterns):
    files = [path for pattern in patterns for path in PACKAGE.glob(pattern)]
    assert len(files) >= len(patterns)
    return files


# Rooms and modules of the package from the bottom up: each uses those of lower floors and none beside it or above.
FLOORS = (
    "_core acquisition errors models",
    "metrics phantom pixels",
    "measurements",
    "segmenter",
    "io",
    "quality training",
    "export network study",
    "cohort evaluation installation",
    "cli",
)
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor.split()}


def test_every_room_has_its_floor():
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    assert {*found, "_core"} - {"__init__"} == set(FLOOR_OF)


@pytest.mark.parametrize("room", FLOOR_OF)
def test_arrows_point_down(room):
    for path in [*PACKAGE.glob(f"{room}.py"), *PACKAGE.glob(f"{room}/**/*.py")]:
        for name in imports(path):
            other = name.removeprefix("cardiacseg.").split(".")[0] if name.startswith("cardiacseg.") else room
            down = other not in FLOOR_OF or FLOOR_OF[other] < FLOOR_OF[room]
            assert other == room or down, f"{path.relative_to(ROOT)} imports {name}, which is not below it"


@pytest.mark.parametrize(
    ("patterns", "never"),
    [
        (
            [
                "*.py",
                *(f"{room}/**/*.py" for room in ("cli", "cohort", "io", "measurements", "network", "quality", "study")),
            ],
            ["torch"],
        ),
        (["evaluation/*.py"], ["torch", "cardiacseg.models", "cardiacseg.training", "cardiacseg.export"]),
        (["installation.py", "cli/*.py"], ["cardiacseg.models", "cardiacseg.training"]),
        (["installation.py", "cli/[!bi]*.py"], ["cardiacseg.export"]),  # but cli/build_engine.py, cli/import_nnunet.py
        # DICOM is read without the core, and what is read knows nothing of what is written.
        (["io/dicom/*.py"], ["cardiacseg._core", "cardiacseg.segmenter", "cardiacseg.io.dicom_results"]),
        (["io/dicom/*.py", "io/dicom_results/*.py"], ["cardiacseg.io.report"]),
        (["io/report/*.py"], ["cardiacseg.io.dicom", "cardiacseg.io.dicom_results"]),
        # What segments a study is given to the receiver.
        (["network/**/*.py"], ["cardiacseg.segmenter", "cardiacseg.measurements", "cardiacseg.io.dicom_results"]),
        # The MRD server works without the libraries for DICOM.
        (["network/mrd/*.py"], ["pydicom", "pynetdicom", "cardiacseg.network.listener", "cardiacseg.network.receive"]),
        (["models/*.py"], ["numpy", "scipy"]),
        (["training/*.py"], ["cardiacseg._core", "cardiacseg.segmenter"]),
        (
            ["export/engine.py", "export/parity_gate.py", "export/engine_graph.py", "export/graph_passes.py"],
            ["torch", "cardiacseg.models", "cardiacseg.training"],  # a machine with a GPU builds engines without
        ),
        (["**/*.py"], ["tools", "benchmarks"]),
    ],
)
def test_python_rooms(patterns, never):
    for path in sources(*patterns):
        for module in never:
            assert not uses(path, module), f"{path.relative_to(ROOT)} imports {module}"


def test_reading_and_writing_run_no_model():
    named = {path.name for path in sources("io/**/*.py") if uses(path, "cardiacseg.segmenter")}
    assert named == {"cine.py"}  # the type of a run's result
    assert not uses(PACKAGE / "io/cine.py", "cardiacseg.segmenter", whole=False)


def test_heavy_imports_wait_inside_functions():
    light = ["io/dicom_results/__init__.py"]
    for path in sources(
        "*.py", "io/*.py", "io/report/*.py", "evaluation/*.py", "quality/*.py", "study/*.py", "cohort/*.py", *light
    ):
        for module in HEAVY:
            assert not uses(path, module, whole=False), f"{path.relative_to(ROOT)} imports {module} at its top"


def test_at_its_top_the_package_needs_numpy_alone():
    allowed = {*sys.stdlib_module_names, "numpy", "cardiacseg"}
    for path in sources("*.py", "io/*.py", "io/report/*.py", "evaluation/*.py", "quality/*.py", "measurements/*.py"):
        roots = {name.split(".")[0] for name in imports(path, whole=False)}
        assert roots <= allowed, f"{path.relative_to(ROOT)} imports {sorted(roots - allowed)} at its top"


@pytest.mark.parametrize(
    ("patterns", "extra"),
    [
        (
            [
                "*.py",
                *(f"{room}/*.py" for room in ("cli", "io", "io/report", "measurements", "network/mrd", "quality")),
            ],
            None,
        ),
        (["study/[!c]*.py", "study/case*.py"], None),
        (["study/cluster.py"], "cluster"),
        (["io/dicom/*.py", "io/dicom_results/*.py", "network/*.py", "network/dicomweb/*.py"], "dicom"),
        (["cohort/*.py"], "parquet"),
    ],
)
def test_what_is_imported_is_declared(patterns, extra):
    """Installed from its own metadata alone, the package must run: other packages' dependencies are not ours."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + (project["optional-dependencies"][extra] if extra else [])
    names = {re.match(r"[\w-]+", line)[0] for line in declared}
    allowed = {*sys.stdlib_module_names, "cardiacseg", *names - {"pillow"}, *({"PIL"} if "pillow" in names else ())}
    allowed.add("typing_extensions")  # which type checkers bring; the test above keeps it out of what runs
    for path in sources(*patterns):
        roots = {name.split(".")[0] for name in imports(path)}
        assert roots <= allowed, f"{path.relative_to(ROOT)} imports {sorted(roots - allowed)}"


def test_the_benchmarks_stand_apart_from_the_package():
    for path in (ROOT / "benchmarks").glob("*.py"):
        roots = {name.split(".")[0] for name in imports(path)}
        assert roots <= {*sys.stdlib_module_names, "torch", "benchmarks"}, f"{path.name} imports {sorted(roots)}"


def test_tools_hold_no_importable_logic():
    for path in [
        *ROOT.glob("tools/*.py"),
        *ROOT.glob("benchmarks/*.py"),
        *ROOT.glob("tests/python/*.py"),
        *PACKAGE.rglob("*.py"),
    ]:
        for tool in ROOT.glob("tools/*.py"):
            assert not uses(path, tool.stem) and not uses(path, f"tools.{tool.stem}")
