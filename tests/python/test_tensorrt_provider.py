"""The provider libraries: compiled with every set of TensorRT's headers that is on this machine, and, if the library
of TensorRT-RTX is installed, building engines with it. Nothing here runs on a GPU.
"""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import run_command
from tensorrt_headers import (
    COMPILER,
    ROOT,
    TESTS,
    WARNINGS,
    compile_object,
    compile_provider,
    compile_simulated_kernel,
    header_sets,
    link,
    link_provider,
)

SETS = header_sets()
RTX = [one for one in SETS if one.flavour == "tensorrt_rtx"]
RTX_PACKAGE = importlib.util.find_spec("tensorrt_rtx_libs")
pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler"),
    pytest.mark.skipif(not SETS, reason="TensorRT's headers are not on this machine"),
]
needs_rtx = pytest.mark.skipif(
    not RTX or RTX_PACKAGE is None, reason="TensorRT-RTX's headers or its library (pip) are not on this machine"
)

BACKEND, CANCELLED = 4, 5  # cardiacseg::ErrorCode
HEADS, SIZE, POSITIONS = 2, 16, 9
CHANNELS = HEADS * SIZE
SHAPES = [
    f"input=tokens:1,{POSITIONS},{CHANNELS}:10,{POSITIONS},{CHANNELS}:32,{POSITIONS},{CHANNELS}",
    "input=cu_slices:2:2:9",
]


def identity(headers):
    return f"{headers.flavour}-{'.'.join(map(str, headers.version))}"


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return compile_simulated_kernel(tmp_path_factory.mktemp("kernel"))


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """The program that runs a provider: what it prints, and how it ended."""
    folder = tmp_path_factory.mktemp("drive")
    program = link(folder / "drive", [compile_object(TESTS / "provider/drive.cc", folder / "drive.o", *WARNINGS)])

    def run(library, *words, **environment):
        own = {name: value for name, value in os.environ.items() if "TENSORRT" not in name.upper()}
        done = subprocess.run(
            [program, library, *map(str, words)],
            env={**own, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.stdout, done.returncode

    return run


@pytest.fixture(scope="module")
def compiled(objects, tmp_path_factory):
    """Headers -> the provider's object and library, compiled once."""
    made = {}

    def make(headers):
        if headers not in made:
            folder = tmp_path_factory.mktemp(identity(headers))
            provider = compile_provider(headers, folder)
            made[headers] = provider, link_provider([provider, *objects], folder / "provider.so")
        return made[headers]

    return make


@pytest.fixture(params=SETS, ids=identity, scope="module")
def headers(request):
    return request.param


@pytest.fixture
def library(headers, compiled):
    return compiled(headers)[1]


def test_it_shows_one_name(library):
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm of binutils is not installed")
    shown = run_command(nm, "-D", "--defined-only", library).split()
    assert shown[2:] == ["cardiacseg_open_provider"]


def test_it_needs_no_library_of_tensorrt(library):
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("readelf of binutils is not installed")
    needed = [line for line in run_command(readelf, "-d", library).splitlines() if "NEEDED" in line]
    assert needed
    assert not any(name in line for line in needed for name in ("nvinfer", "tensorrt", "nvonnx"))


def test_it_says_what_it_is_and_that_its_library_is_missing(headers, library, drive, tmp_path):
    output, code = drive(library, "facts", CARDIACSEG_TENSORRT_LIBRARIES=str(tmp_path))
    facts = dict(line.split(" ", 1) for line in output.splitlines())
    if "library" in facts and code == 0:
        pytest.skip(f"{headers.library} is on the loader's path")
    strong = headers.flavour == "tensorrt_rtx" or headers.version[0] >= 10
    assert facts["flavor"] == headers.flavour
    assert facts["headers"] == ".".join(map(str, headers.version))
    assert facts["typing"] == ("strong" if strong else "weak")
    assert facts["opset"] == ("20" if strong else "17")
    assert code == 3
    assert facts["error"].startswith(f"{BACKEND} TensorRT")
    for part in (f"expected the library {headers.library}, got none in {tmp_path}, ", "CARDIACSEG_TENSORRT_LIBRARIES"):
        assert part in facts["error"]


def fake_library(headers, folder, version):
    """A library of TensorRT's name that knows its version alone."""
    source = folder / "version.cc"
    source.write_text(f'extern "C" int getInferLibVersion() {{ return {version}; }}')
    run_command(COMPILER, "-shared", "-fPIC", source, "-o", folder / headers.library)


@pytest.mark.parametrize("other", ["older", "newer", "older minor"])
def test_a_library_of_another_version_is_refused(headers, library, drive, tmp_path, other):
    major, minor = headers.version[:2]
    if (other, minor) == ("older minor", 0):
        pytest.skip("the headers are of the first minor version")
    major, minor = {"older": (major - 1, 0), "newer": (major + 1, 0), "older minor": (major, minor - 1)}[other]
    fake_library(headers, tmp_path, headers.encoded(major, minor))
    output, code = drive(library, "facts", CARDIACSEG_TENSORRT_LIBRARIES=str(tmp_path))
    assert code == 3
    assert f"expected a library of version {headers.version[0]}.{headers.version[1]} or a later" in output
    assert f"got {major}.{minor}.0" in output


def test_a_library_that_lacks_a_function_is_refused(headers, library, drive, tmp_path):
    fake_library(headers, tmp_path, headers.encoded(*headers.version[:2]))
    output, code = drive(library, "facts", CARDIACSEG_TENSORRT_LIBRARIES=f"/nowhere:{tmp_path}")
    assert code == 3
    assert f"expected the function createInferBuilder_INTERNAL, got none in {headers.library}" in output


def test_a_file_that_is_no_library_is_refused(headers, library, drive, tmp_path):
    (tmp_path / headers.library).write_text("nothing")
    output, code = drive(library, "facts", CARDIACSEG_TENSORRT_LIBRARIES=str(tmp_path))
    assert code == 3
    assert "got one that cannot be loaded" in output


def test_the_plugin_object(headers, compiled, objects, tmp_path):
    """With headers alone, on the simulated GPU."""
    flags = [*WARNINGS, "-isystem", headers.folder, f"-I{TESTS}", f"-I{TESTS / 'kernels'}", f"-I{TESTS / 'provider'}"]
    test = compile_object(TESTS / "provider/plugin.cc", tmp_path / "test.o", *flags)
    host = compile_object(ROOT / "cpp/src/ops/slice_attention_host.cc", tmp_path / "host.o")
    program = link(tmp_path / "test", [test, host, compiled(headers)[0], *objects])
    assert " 0 failed" in run_command(program)


@pytest.fixture(scope="module")
def rtx(compiled, drive):
    """Runs the provider of TensorRT-RTX with its real library."""
    library = compiled(RTX[-1])[1]
    folder = RTX_PACKAGE.submodule_search_locations[0]

    def run(*words):
        return drive(library, *words, CARDIACSEG_TENSORRT_LIBRARIES=folder)

    return run


def attention_graph(path, precision="fp32", plugin=True, op="SliceAttention", heads=HEADS):
    """Tokens ``[slices, positions, channels]`` times a weight, then attention or a slice of the product."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    half = precision == "fp16"
    inside = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    weight = np.random.default_rng(0).standard_normal((CHANNELS, 3 * CHANNELS)).astype("float16" if half else "float32")
    shape = ["slices", POSITIONS, CHANNELS]
    inputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, shape)]
    nodes = [
        helper.make_node("Cast", ["tokens"], ["narrow"], to=inside),
        helper.make_node("MatMul", ["narrow", "weight"], ["qkv"]),
    ]
    if plugin:
        inputs.append(helper.make_tensor_value_info("cu_slices", TensorProto.INT32, ["stacks + 1"]))
        settings = {"heads": heads, "across_slices": 1, "plugin_version": "1", "plugin_namespace": ""}
        nodes.append(helper.make_node(op, ["qkv", "cu_slices"], ["mixed"], name="mix", domain="cardiacseg", **settings))
    else:
        nodes.append(helper.make_node("Split", ["qkv"], ["query", "key", "mixed"], axis=2, num_outputs=3))
    nodes.append(helper.make_node("Cast", ["mixed"], ["output"], to=TensorProto.FLOAT))
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "attention", inputs, [output], [onnx.numpy_helper.from_array(weight, "weight")])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("cardiacseg", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("plugin", [False, True], ids=["no plugin", "plugin"])
@pytest.mark.parametrize("capability", ["8.0", "8.6", "8.9", "12.0"])
def test_rtx_builds_without_a_gpu(rtx, tmp_path, precision, plugin, capability):
    graph = attention_graph(tmp_path / "graph.onnx", precision, plugin)
    plan = tmp_path / "plan"
    output, code = rtx("build", graph, plan, *SHAPES[: 1 + plugin], f"capability={capability}")
    assert code == 0, output
    assert output.splitlines()[-1] == f"built {plan.stat().st_size} 0 0"
    assert plan.stat().st_size > 100_000
    assert (b"SliceAttention" in plan.read_bytes()) == plugin


@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("stage", ["seg", "ref"])
@pytest.mark.parametrize("model", ["default", "tiny"])
def test_rtx_builds_the_networks_with_the_plugin(rtx, tmp_path, tiny_bundle, model, stage, precision):
    from cardiacseg.export.engine_graph import EngineGraphError, engine_graph
    from cardiacseg.export.engine_options import EngineOptions, input_ranges
    from cardiacseg.segmenter import bundle_folder

    folder = tiny_bundle if model == "tiny" else bundle_folder(model)
    try:
        graph = engine_graph((folder / f"{stage}.onnx").read_bytes(), precision=precision, plugin=True)
    except EngineGraphError as error:
        if model == "tiny" or "older version" not in str(error):
            raise
        pytest.skip(f"{model}: {error}")
    (tmp_path / "graph.onnx").write_bytes(graph.onnx)
    ranges = input_ranges(stage, graph.inputs, EngineOptions(), {"crop_pixels": 128, "locate": {"size_multiple": 8}})
    shapes = [[",".join(map(str, shape)) for shape in shapes] for shapes in ranges.values()]
    inputs = [f"input={name}:" + ":".join(texts) for name, texts in zip(ranges, shapes, strict=True)]
    output, code = rtx("build", tmp_path / "graph.onnx", tmp_path / "plan", *inputs, "capability=8.6")
    assert code == 0, output
    assert (tmp_path / "plan").read_bytes().count(b"SliceAttention") >= 2


@needs_rtx
def test_rtx_builds_for_several_gpus_at_once_and_for_its_own_choice(rtx, tmp_path):
    graph = attention_graph(tmp_path / "graph.onnx", "fp16")
    for capabilities in (["capability=8.6", "capability=12.0"], []):
        output, code = rtx("build", graph, tmp_path / "plan", *SHAPES, *capabilities, "inspect")
        assert code == 0, output


@needs_rtx
def test_rtx_tells_how_far_it_is(rtx, tmp_path):
    output, _ = rtx("build", attention_graph(tmp_path / "graph.onnx"), tmp_path / "plan", *SHAPES)
    steps = [line.split(" ", 2)[1:] for line in output.splitlines() if line.startswith("progress ")]
    assert [phase for _, phase in steps[:3]] == ["reading the graph"] * 2 + ["Building engine"]
    done = [tuple(map(int, step.split("/"))) for step, _ in steps]
    assert done[:2] == [(0, 1), (1, 1)]
    assert done[2][0] == 0
    assert done[-1][0] == done[-1][1] == done[2][1]


@needs_rtx
@pytest.mark.parametrize("stop", [1, 2, 3, 5])
def test_a_build_can_be_cancelled(rtx, tmp_path, stop):
    graph = attention_graph(tmp_path / "graph.onnx")
    output, code = rtx("build", graph, tmp_path / "plan", *SHAPES, f"stop={stop}")
    assert code == 3
    assert output.splitlines()[-1] == f"error {CANCELLED} building the engine test seg was stopped by its caller"
    assert output.count("progress ") == stop
    assert not (tmp_path / "plan").exists()


@needs_rtx
def test_what_the_progress_function_throws_arrives(rtx, tmp_path):
    graph = attention_graph(tmp_path / "graph.onnx")
    output, code = rtx("build", graph, tmp_path / "plan", *SHAPES, "throw=4")
    assert (code, output.splitlines()[-1]) == (4, "out of range thrown by the caller")


BAD = {
    "a node that nobody knows": ({"op": "Unheard"}, SHAPES, "node 2 mix (Unheard): "),
    "heads that no kernel takes": ({"heads": 8}, SHAPES, "expected 3 * 8 heads of 8, 16, 32 or 64 channels, got 96"),
    "no heads": ({"heads": 0}, SHAPES, "expected one head or more"),
    "an input without shapes": ({}, SHAPES[:1], "graph test seg has an input cu_slices, expected a range of shapes"),
    "shapes of another network": ({}, ["input=tokens:1,9,8:1,9,8:1,9,8", SHAPES[1]], "Dimension mismatch"),
    "a range upside down": ({}, ["input=tokens:9,9,32:9,9,32:1,9,32", SHAPES[1]], "does not take the shapes"),
    "a GPU that is not supported": ({}, [*SHAPES, "capability=9.0"], "does not build for the compute capability 9.0"),
    "a GPU that is none": ({}, [*SHAPES, "capability=86"], "expected a compute capability such as 8.6, got 86"),
}


@needs_rtx
@pytest.mark.parametrize(("graph", "options", "sentence"), BAD.values(), ids=BAD)
def test_what_cannot_be_built_is_refused(rtx, tmp_path, graph, options, sentence):
    output, code = rtx("build", attention_graph(tmp_path / "graph.onnx", **graph), tmp_path / "plan", *options)
    last = output.splitlines()[-1]
    assert (code, last.split(" ", 2)[:2]) == (3, ["error", str(BACKEND)])
    assert sentence in last
    assert len(last) < 800


@needs_rtx
def test_a_file_that_is_no_graph_and_one_that_is_no_engine_are_refused(rtx, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"neither" * 100)
    output, code = rtx("build", path, tmp_path / "plan", *SHAPES)
    assert code == 3
    assert f"error {BACKEND} TensorRT-RTX cannot take the graph test seg: " in output
    output, code = rtx("load", path)
    assert code == 3
    assert f"error {BACKEND} TensorRT-RTX cannot read the engine test: " in output


@needs_rtx
@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU")
def test_without_a_gpu_an_engine_is_not_read(rtx, tmp_path):
    rtx("build", attention_graph(tmp_path / "graph.onnx"), tmp_path / "plan", *SHAPES)
    output, code = rtx("load", tmp_path / "plan")
    assert code == 3
    assert output.startswith(f"error {BACKEND} TensorRT-RTX cannot read the engine test: ")
    assert "CUDA driver" in output


@needs_rtx
def test_the_library_is_found_in_the_pip_package_beside_this_one(compiled, drive, tmp_path):
    site = tmp_path / "site-packages"
    (site / "cardiacseg").mkdir(parents=True)
    shutil.copy(compiled(RTX[-1])[1], site / "cardiacseg/provider.so")
    (site / "tensorrt_rtx_libs").symlink_to(RTX_PACKAGE.submodule_search_locations[0])
    output, code = drive(site / "cardiacseg/provider.so", "facts")
    assert code == 0, output
    assert f"library {RTX[-1].version[0]}." in output
    graph = attention_graph(tmp_path / "graph.onnx")
    output, code = drive(site / "cardiacseg/provider.so", "build", graph, tmp_path / "plan", *SHAPES)
    assert code == 0, output
