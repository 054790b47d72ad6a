"""The C++ tests, some under sanitizers, then the installed library and a consumer; clang-tidy. Warnings are errors."""

import json
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import SPACING, run_command

import cardiacseg

ROOT = Path(__file__).parents[2]
JOBS = str(min(4, os.cpu_count() or 1))


@pytest.fixture(scope="module")
def build(simulated_build):
    """The library and all tests but host_tests, which the address sanitizer's build has."""
    folder = simulated_build("cardiacseg", "cardiacseg_probe")
    tests = ("kernels", "device_pipeline", "fake_tensorrt", "tensorrt")
    return simulated_build(*(f"tests/cpp/{name}/all" for name in tests if (folder / "tests/cpp" / name).exists()))


@pytest.fixture(scope="module")
def prefix(build, tmp_path_factory):
    """The installed library, moved after its installation."""
    first = tmp_path_factory.mktemp("prefix") / "first"
    run_command("cmake", "--install", build, "--component", "sdk", "--prefix", first)
    return first.rename(first.with_name("moved"))


@pytest.fixture(scope="module")
def consumer(prefix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("consumer")
    run_command("cmake", "-G", "Ninja", "-S", ROOT / "tests/install", "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    run_command("cmake", "--build", folder, "-j", JOBS)
    return folder


NO_GOOGLETEST = "GoogleTest is not installed (Debian and Ubuntu: apt-get install libgtest-dev)"


# Labels of tests/cpp: kernels and pipeline on the simulated GPU, TensorRT's backend with a fake TensorRT.
@pytest.mark.parametrize("label", ["simulated", "pipeline", "tensorrt"])
def test_the_cpp_tests_pass(build, label):
    if label == "tensorrt" and not (build / "tests/cpp/tensorrt").exists():
        pytest.skip(NO_GOOGLETEST)
    options = ("--no-tests=error", "--output-on-failure", "-j", JOBS)
    assert "100% tests passed" in run_command("ctest", "--test-dir", build, "-L", f"^{label}$", *options)


# Presets, and what runs of each: all host tests; code that threads share, and calls of the pipeline by many threads.
SANITIZERS = {"asan": ("host_tests",), "tsan": ("thread_tests", "device_pipeline/device_pipeline_callers_simulated")}


@pytest.fixture
def sanitized(shared_folder):
    """Configures a sanitizer's build and builds targets of it; gives the folder of its tests."""

    def build(preset, *targets):
        with shared_folder(preset) as folder:
            run_command("cmake", "--preset", preset, "-B", folder, f"-DPython_EXECUTABLE={sys.executable}", cwd=ROOT)
            if not (folder / "tests/cpp/CMakeFiles/host_tests.dir").exists():
                pytest.skip(NO_GOOGLETEST)
            run_command("cmake", "--build", folder, "-j", JOBS, "--target", *targets)
        return folder / "tests/cpp"

    return build


@pytest.mark.parametrize("preset", SANITIZERS)
def test_sanitizers_find_nothing(sanitized, preset):
    tests = sanitized(preset, *(Path(name).name for name in SANITIZERS[preset]))
    for name in SANITIZERS[preset]:
        run_command(tests / name)


@pytest.mark.slow
@pytest.mark.parametrize("preset", SANITIZERS)
def test_sanitizers_find_nothing_in_all_tests(sanitized, preset):
    folder = sanitized(preset, "all").parents[1]
    options = ("--no-tests=error", "--output-on-failure", "-j", JOBS)
    assert "100% tests passed" in run_command("ctest", "--test-dir", folder, *options)


@pytest.mark.parametrize("folder", ["cpp/src", pytest.param("python/bindings", marks=pytest.mark.slow)])
def test_clang_tidy_finds_nothing(simulated_build, folder):
    tidy = shutil.which("clang-tidy")
    if tidy is None:
        pytest.skip("clang-tidy is not installed (pip install clang-tidy)")
    build = simulated_build("cardiacseg_probe")  # the tree must be configured
    commands = json.loads((build / "compile_commands.json").read_text())
    files = {entry["file"] for entry in commands if Path(entry["file"]).is_relative_to(ROOT / folder)}
    sources = sorted(name for name in files if name.endswith(".cc"))
    assert len(sources) > 8
    with ThreadPoolExecutor(int(JOBS)) as pool:
        list(pool.map(lambda name: run_command(tidy, "-p", build, "--quiet", name), sources))


def test_the_library_shows_its_public_names_alone(prefix):
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm of binutils is not installed")
    symbols = run_command(nm, "-D", "--defined-only", "--demangle", next(prefix.glob("lib*/libcardiacseg.so")))
    ours = [line.split(" ", 2)[2] for line in symbols.splitlines() if " T " in line]
    assert any("cardiacseg::measure" in name for name in ours)
    functions = (
        "version|list_backends|explain_device|measure|build_engine|read_engine_info|list_providers|engines_folder|"
        "compiled_networks_folder"
    )
    public = rf"cardiacseg::({functions}|CardiacSegmenter|Error)\b"
    assert [name for name in ours if not re.match(public, name) and not name.startswith("csg_")] == []


def test_an_installed_library_serves_another_project(consumer):
    assert "version 1, error 1, measure 1, backend 1" in run_command(consumer / "consumer")


def test_the_example_gives_pythons_labels(consumer, tiny_bundle, segmenter, cine, tmp_path):
    pixels, labels = tmp_path / "pixels", tmp_path / "labels"
    cine.astype(np.float32).tofile(pixels)
    output = run_command(consumer / "segment", tiny_bundle, pixels, *cine.shape, *SPACING, labels)
    assert "tiny on openvino" in output
    found = np.fromfile(labels, np.uint8).reshape(cine.shape)
    np.testing.assert_array_equal(found, segmenter.run(cine, spacing=SPACING).labels)


C_HEADER = ROOT / "cpp/include/cardiacseg/cardiacseg.h"


def test_the_library_shows_the_functions_of_the_c_header_and_no_other(prefix):
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm of binutils is not installed")
    symbols = run_command(nm, "-D", "--defined-only", next(prefix.glob("lib*/libcardiacseg.so")))
    shown = set(re.findall(r" T (csg_\w+)", symbols))
    assert shown == set(re.findall(r"^CSG_API [^;]*?(csg_\w+)\(", C_HEADER.read_text(), re.MULTILINE))


@pytest.mark.parametrize("language", ["c99", "cpp11"])
def test_the_c_interface_is_binary_compatible(consumer, language):
    kept = (ROOT / "tests/c/abi.txt").read_text()
    now = run_command(consumer / f"abi_{language}")
    assert now == kept, "the C interface has changed: raise CSG_ABI_VERSION unless members were added at an end"


@pytest.mark.parametrize("language", ["c99", "cpp11"])
def test_the_c_example_gives_pythons_labels(consumer, tiny_bundle, segmenter, cine, tmp_path, language):
    pixels, labels = tmp_path / "pixels", tmp_path / "labels"
    cine.astype(np.float32).tofile(pixels)
    output = run_command(consumer / f"segment_{language}", tiny_bundle, pixels, *cine.shape, *SPACING, labels)
    assert '"model":"tiny"' in output
    expected = segmenter.run(cine, spacing=SPACING).labels
    np.testing.assert_array_equal(np.fromfile(labels, np.uint8).reshape(cine.shape), expected)
    measured = cardiacseg.measure(expected, spacing=SPACING)
    assert f"LV of the first frame {measured.lv_ml[0]:.3f} ml" in output


def test_the_rust_example_gives_pythons_labels(prefix, tiny_bundle, segmenter, cine, tmp_path):
    rustc = shutil.which("rustc") or pytest.skip("rustc is not installed")
    folder, program = next(prefix.glob("lib*/libcardiacseg.so")).parent, tmp_path / "segment"
    source = ROOT / "cpp/examples/segment.rs"
    link = ("-L", folder, "-l", "cardiacseg", "-C", f"link-arg=-Wl,-rpath,{folder}")
    run_command(rustc, "--edition", "2021", "-D", "warnings", *link, "-o", program, source)
    pixels, labels = tmp_path / "pixels", tmp_path / "labels"
    cine.astype(np.float32).tofile(pixels)
    run_command(program, tiny_bundle, pixels, *cine.shape, *SPACING, labels)
    expected = segmenter.run(cine, spacing=SPACING).labels
    np.testing.assert_array_equal(np.fromfile(labels, np.uint8).reshape(cine.shape), expected)


@pytest.mark.parametrize(("language", "seed"), [("c99", 1), ("cpp11", 2)])
def test_wrong_calls_are_refused(consumer, tiny_bundle, language, seed):
    assert "1000 calls, 1000 refused" in run_command(consumer / f"misuse_{language}", tiny_bundle, seed)


def test_the_c_interface_from_ctypes(prefix, tiny_bundle, segmenter, cine, tmp_path):
    np.save(tmp_path / "cine.npy", cine)
    library = next(prefix.glob("lib*/libcardiacseg.so"))
    run_command(sys.executable, ROOT / "tests/c/call.py", library, tiny_bundle, tmp_path, *SPACING)
    result = segmenter.run(cine, spacing=SPACING, probabilities=True)
    for name in ("labels", "presence", "probabilities", "agreement", "quality"):
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), getattr(result, name), err_msg=name)


def test_the_sdk_lies_anywhere(consumer, prefix, tiny_bundle, cine, tmp_path):
    """A program finds OpenVINO beside the library, without Python and without a path in its environment."""
    program = consumer / "segment_c99"
    loaded = run_command("env", "-i", "LD_TRACE_LOADED_OBJECTS=1", program)
    found = dict(re.findall(r"(libopenvino|libtbb|libcardiacseg)\.so\S* => (\S+)", loaded))
    assert set(found) == {"libopenvino", "libtbb", "libcardiacseg"}
    assert all(Path(path).resolve().is_relative_to(prefix.resolve()) for path in found.values()), found
    cine.astype(np.float32).tofile(tmp_path / "pixels")
    labels, kept = tmp_path / "labels", tmp_path / "kept"
    words = (f"CARDIACSEG_CACHE={kept}", program, tiny_bundle, tmp_path / "pixels", *cine.shape, *SPACING, labels)
    run_command("env", "-i", *words)
    assert labels.stat().st_size == cine.size
    # A second process reads the compiled networks that the first one kept, and writes none again.
    written = {path.name: path.stat().st_ino for path in kept.iterdir()}
    run_command("env", "-i", *words)
    assert len(written) > 1
    assert {path.name: path.stat().st_ino for path in kept.iterdir()} == written


def test_pkg_config_serves_a_c_compiler(prefix, tiny_bundle, cine, tmp_path):
    if shutil.which("pkg-config") is None or shutil.which("cc") is None:
        pytest.skip("pkg-config or a C compiler is not installed")
    library = next(prefix.glob("lib*/libcardiacseg.so")).parent
    flags = run_command("env", f"PKG_CONFIG_PATH={library}/pkgconfig", "pkg-config", "--cflags", "--libs", "cardiacseg")
    program = tmp_path / "segment"
    source = ROOT / "cpp/examples/segment.c"
    run_command("cc", "-std=c99", source, *flags.split(), f"-Wl,-rpath,{library}", "-o", program)
    cine.astype(np.float32).tofile(tmp_path / "pixels")
    words = (tiny_bundle, tmp_path / "pixels", *cine.shape, *SPACING, tmp_path / "labels")
    assert '"model":"tiny"' in run_command("env", "-i", "CARDIACSEG_CACHE=off", program, *words)


def test_the_sdk_archive(build, tmp_path):
    run_command("cpack", "--config", build / "CPackConfig.cmake", "-B", tmp_path)
    archive = next(tmp_path.glob("cardiacseg-sdk-*.tar.zst"))
    names = run_command("cmake", "-E", "tar", "tf", archive).splitlines()
    top = archive.name.removesuffix(".tar.zst")
    assert all(name.startswith(f"{top}/") for name in names)
    for end in (
        *("include/cardiacseg/cardiacseg.h", "lib/libcardiacseg.so", "lib/libopenvino_intel_cpu_plugin.so"),
        *("lib/cmake/cardiacseg/cardiacsegConfig.cmake", "lib/pkgconfig/cardiacseg.pc"),
        *("share/cardiacseg/bundles/default/manifest.json", "share/cardiacseg/examples/segment.c"),
        *("share/cardiacseg/README.md", "share/cardiacseg/docs/c_api.md", "share/cardiacseg/docs/runtime.md"),
        *("share/cardiacseg/LICENSE", "share/cardiacseg/licences/openvino/LICENSE"),
        "share/cardiacseg/licences/nlohmann-json.txt",
    ):
        assert f"{top}/{end}" in names
