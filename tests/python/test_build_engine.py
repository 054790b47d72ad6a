"""``cardiacseg build-engine``, with providers that run what they are given on the CPU, and a GPU that is simulated."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cardiacseg.errors import InvalidInputError
from cardiacseg.export.engine import READING, BuildClock
from cardiacseg.export.engine_options import EngineOptions, input_ranges
from cardiacseg.export.parity_gate import _beating_heart

ROOT = Path(__file__).parents[2]
STAGES = ["locate", "seg", "ref"]
SMALL = ("--slices", "1,2,2", "--frames", "1,1,2", "--size", "32,48,64", "--precision", "fp32")


@pytest.fixture(scope="module")
def package(simulated_build, tmp_path_factory):
    """The environment of a package whose core has the TensorRT backend, on the simulated GPU."""
    build = simulated_build("_core", "fake_tensorrt", "fake_tensorrt_rtx")
    folder = tmp_path_factory.mktemp("package")
    ignore = shutil.ignore_patterns("_core*.so", "_cuda*.so", "__pycache__", "bundles")
    shutil.copytree(ROOT / "python/cardiacseg", folder / "cardiacseg", ignore=ignore)
    (core,) = (build / "python/bindings").glob("_core*.so")
    shutil.copy(core, folder / "cardiacseg")
    return {**os.environ, "PYTHONPATH": str(folder), "CARDIACSEG_PROVIDERS": str(build / "fake_tensorrt")}


@pytest.fixture
def build_engine(package, tiny_bundle, tmp_path):
    def run(*words, folder=tmp_path / "engines", fake="", bundle=tiny_bundle):
        command = [sys.executable, "-m", "cardiacseg.cli", "build-engine", bundle, "-o", folder, *SMALL, *words]
        environment = {**package, "CARDIACSEG_FAKE": fake, "CARDIACSEG_FAKE_LOG": str(tmp_path / "log")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)

    return run


def run_python(package, code, *words):
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=package, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def headers(package, folder):
    """What the engine files of a folder say, by stage."""
    code = (
        "import json, sys; from pathlib import Path; from cardiacseg import _core\n"
        "print(json.dumps([_core.engines.info(path) for path in Path(sys.argv[1]).glob('*.engine')]))"
    )
    return {info["stage"]: info for info in run_python(package, code, folder)}


def engines(folder):
    return sorted(path.name for path in folder.glob("*.engine"))


def refused(done, sentence):
    """The one line that a refusal prints, after whatever progress there was."""
    assert done.returncode in (2, 3, 4) and done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("cardiacseg: ") and sentence in last, done.stderr


def test_it_builds_verifies_and_saves_every_stage(build_engine, package, tmp_path):
    folder = tmp_path / "engines"
    done = build_engine("--slices", "1,2,3", "--inspect", tmp_path / "layers", "--plugin")
    assert done.returncode == 0, done.stderr
    table = done.stdout.splitlines()[1:]
    assert [line.split()[0] for line in table] == STAGES and all(line.split()[3] == "yes" for line in table)
    assert "100 %  ref: built, about 0 s left" in done.stderr
    found = headers(package, folder)
    assert sorted(found) == sorted(STAGES) and len(engines(folder)) == 3
    for info in found.values():
        assert (info["flavour"], info["precision"], info["plugin"]) == ("tensorrt", "fp32", True)
        assert info["verified_on"] == [info["gpu"]] != [""]
    assert found["seg"]["inputs"] == {
        "image": [[1, 1, 1, 128, 128], [1, 2, 1, 128, 128], [2, 3, 1, 128, 128]],
        "cu_slices": [[2], [2], [3]],
    }
    assert found["locate"]["inputs"] == {"image": [[1, 1, 1, 32, 32], [1, 2, 1, 48, 48], [2, 3, 1, 64, 64]]}
    assert found["ref"]["outputs"] == ["logits", "presence"]
    assert all("Layers" in json.loads(path.read_text()) for path in (tmp_path / "layers").iterdir())
    assert len(list((tmp_path / "layers").iterdir())) == 3
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert next(folder.glob("*.timings")).read_bytes()

    log = (tmp_path / "log").read_text()  # of the gate: the largest batch that there can be, and the best
    assert "make_execution 2x3x1x64x64\n" in log and "make_execution 1x2x1x48x48\n" in log
    assert "make_execution 2x3x1x128x128\n" in log and "make_execution 2x3x4x128x128\n" in log

    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    refused(build_engine("--plugin"), ".engine exists; give another folder or ask to overwrite it")
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_bundle_without_a_locator(build_engine, package, tiny_bundle, tmp_path):
    bundle = shutil.copytree(tiny_bundle, tmp_path / "fixed")
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["networks"]["locate"], manifest["preprocessing"]["locate"], manifest["files"]["locate.onnx"]
    (bundle / "locate.onnx").unlink()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    done = build_engine(bundle=bundle)
    assert done.returncode == 0, done.stderr
    found = headers(package, tmp_path / "engines")
    assert sorted(found) == ["ref", "seg"] and all(info["verified_on"] for info in found.values())


def test_the_frames_of_the_gate_differ():
    cine, _ = _beating_heart(2, 1, 48, {"crop_pixels": 96, "spacing_mm": 1.5})
    assert cine.shape == (2, 1, 128, 128) and (cine[0] != cine[1]).mean() > 0.1


def test_a_failing_gate_saves_nothing_and_leaves_what_was_there(build_engine, tmp_path):
    folder = tmp_path / "engines"
    folder.mkdir()
    (folder / "mine.engine").write_bytes(b"older")
    refused(build_engine(fake="wrong_logits"), "the engines failed the parity gate and were not saved: ")
    assert engines(folder) == ["mine.engine"] and (folder / "mine.engine").read_bytes() == b"older"
    assert not list(folder.glob(".building-*"))


def test_a_failing_build_saves_nothing(build_engine, tmp_path):
    refused(build_engine(fake="build_fails"), "the fake was told to fail")
    assert engines(tmp_path / "engines") == []


def test_an_interrupt_leaves_nothing_half_written(package, tiny_bundle, tmp_path):
    code = """if True:
        import json, os, sys
        from pathlib import Path
        from cardiacseg.export.engine import build_engines
        from cardiacseg.export.engine_options import EngineOptions
        def interrupt(state):
            if state.stage == "seg" and state.phase == "building":
                raise KeyboardInterrupt
        try:
            build_engines(Path(sys.argv[1]), Path(sys.argv[2]), EngineOptions(), report=interrupt)
            print(json.dumps("was not interrupted"))
        except KeyboardInterrupt:
            print(json.dumps([path.name for path in Path(sys.argv[2]).iterdir()]))"""
    assert run_python(package, code, tiny_bundle, tmp_path / "e") == ["tensorrt-10.16.0-fake.timings"]


def test_where_types_are_weak_it_builds_too(build_engine, package, tmp_path):
    done = build_engine("--quiet", "--precision", "fp16", fake="weakly_typed")
    assert done.returncode == 0 and done.stderr == ""
    assert len(headers(package, tmp_path / "engines")) == 3


def test_engines_for_other_gpus_are_saved_unverified(build_engine, package, tmp_path):
    done = build_engine("--flavor", "rtx", "--gpu", "12.0,12.1")
    assert done.returncode == 0, done.stderr
    assert "not verified, because they cannot run here: " in done.stdout
    for info in headers(package, tmp_path / "engines").values():
        assert (info["flavour"], info["compute_capabilities"]) == ("tensorrt_rtx", ["12.0", "12.1"])
        assert info["verified_on"] == [] and info["gpu"] == ""


@pytest.mark.parametrize(
    ("words", "fake", "sentence"),
    [
        (("--slices", "5,2,8"), "", "slices must be MIN,OPT,MAX with 1 <= MIN <= OPT <= MAX, got 5,2,8"),
        (("--gpu", "8.6"), "", "compute capabilities can be chosen for tensorrt_rtx alone"),
        ((), "no_library", "no engine of tensorrt can be built here: "),
    ],
)
def test_refusals_are_one_sentence(words, fake, sentence, build_engine, tmp_path):
    refused(build_engine(*words, fake=fake), sentence)
    assert engines(tmp_path / "engines") == []


def test_a_bundle_that_is_none_or_altered_is_refused(build_engine, tiny_bundle, tmp_path):
    refused(build_engine(bundle=tmp_path), f"no bundle at {tmp_path}")
    altered = shutil.copytree(tiny_bundle, tmp_path / "altered")
    (altered / "seg.onnx").write_bytes((altered / "ref.onnx").read_bytes())
    refused(build_engine(bundle=altered), "seg.onnx is not the file that the manifest describes: its SHA-256 differs")


@pytest.mark.parametrize("words", [("--flavor", "tensorflow"), ("--slices", "1,2"), ("--frames", "a,b,c"), ()])
def test_words_that_make_no_sense_are_refused(words):
    command = [sys.executable, ROOT / "tools/build_engine.py", *(["default", *words] if words else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "error: " in done.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"flavour": "rtx"}, "flavour must be tensorrt or tensorrt_rtx, got 'rtx'"),
        ({"precision": "int8"}, "precision must be fp16 or fp32, got 'int8'"),
        ({"frames": (0, 1, 1)}, "frames must be MIN,OPT,MAX with 1 <= MIN <= OPT <= MAX, got 0,1,1"),
        ({"size": (32, 300, 256)}, "size must be MIN,OPT,MAX"),
    ],
)
def test_options_are_checked(options, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        EngineOptions(**options)


def test_the_locators_sizes_are_rounded_up_to_what_it_can_take():
    preprocessing = {"crop_pixels": 96, "locate": {"size_multiple": 8}}
    options = EngineOptions(slices=(1, 9, 20), frames=(1, 2, 4), size=(30, 100, 200))
    image = {"image": (None, None, 1, None, None)}
    assert input_ranges("locate", image, options, preprocessing) == {
        "image": ([1, 1, 1, 32, 32], [2, 9, 1, 104, 104], [4, 20, 1, 200, 200])
    }
    both = {"seg_logits": (None, None, 4, None, None), "cu_slices": (None,)}
    assert input_ranges("ref", both, options, preprocessing) == {
        "seg_logits": ([1, 1, 4, 96, 96], [2, 9, 4, 96, 96], [4, 20, 4, 96, 96]),
        "cu_slices": ([2], [3], [5]),
    }


def test_the_time_left_comes_from_the_stages_done_and_the_steps_of_the_next():
    times, states = iter([0.0, 1.0, 2.0, 4.0, 8.0, 10.0]), []
    clock = BuildClock({"seg": 30, "ref": 10}, states.append, now=lambda: next(times))
    seg = clock.start("seg")
    seg(READING, 1, 1)
    seg("building", 1, 3)
    seg("more", 0, 5)
    clock.finish("seg")
    clock.start("ref")("building", 1, 2)
    assert [(state.stage, state.phase, state.done) for state in states] == [
        ("seg", READING, 0),
        ("seg", "building", 0.25),
        ("seg", "more", 0.25),
        ("seg", "built", 0.75),
        ("ref", "building", 0.875),
    ]
    lefts = [state.seconds_left for state in states]
    assert lefts[0] is None and lefts[1:] == pytest.approx([6.0, 12.0, 8 / 3, 10 / 7])
