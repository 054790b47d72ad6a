"""Networks that were compiled on the CPU are kept for later processes, and nothing but time depends on it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SPACING

import cardiacseg

NETWORKS = 3  # of the tiny bundle; each has a file of its outputs and one of each shape

RUN = """
import hashlib, sys
import numpy as np
import cardiacseg
segmenter = cardiacseg.CardiacSegmenter(sys.argv[1], cache=sys.argv[2])
result = segmenter.run(np.load(sys.argv[3]), spacing=(8.0, 1.5, 1.25), probabilities=True)
print(hashlib.sha256(result.labels.tobytes() + result.probabilities.tobytes()).hexdigest())
"""


def digest(bundle, cine, cache, threads=0):
    """Of all that one new segmenter gives."""
    found = cardiacseg.CardiacSegmenter(bundle, device="cpu", threads=threads, cache=cache).run(
        cine, spacing=SPACING, probabilities=True
    )
    arrays = (found.labels, found.probabilities, found.presence, found.agreement)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def inodes(folder):
    return {path.name: path.stat().st_ino for path in folder.iterdir()}


@pytest.fixture(scope="module")
def plain(tiny_bundle, cine):
    return digest(tiny_bundle, cine, "off")


@pytest.fixture
def kept(tmp_path, tiny_bundle, cine, plain):
    """A folder that one segmenter has filled."""
    assert digest(tiny_bundle, cine, tmp_path / "networks") == plain
    return tmp_path / "networks"


def test_a_second_segmenter_takes_what_the_first_compiled(kept, tiny_bundle, cine, plain):
    before = inodes(kept)
    assert len(before) == 2 * NETWORKS and {Path(name).suffix for name in before} == {".blob"}
    used = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert digest(tiny_bundle, cine, kept) == plain
    assert inodes(kept) == before
    assert all(path.stat().st_mtime_ns > used[path.name] for path in kept.iterdir())


def test_what_a_compiled_network_depends_on_has_files_of_its_own(kept, tiny_bundle, cine, plain, monkeypatch):
    assert digest(tiny_bundle, cine, kept, threads=1) == plain
    assert len(inodes(kept)) == 4 * NETWORKS
    cardiacseg.CardiacSegmenter(tiny_bundle, device="cpu", cache=kept).run(cine[:, :1], spacing=SPACING)
    assert len(inodes(kept)) == 5 * NETWORKS
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    cardiacseg.CardiacSegmenter(tiny_bundle, device="cpu", cache=kept)
    assert len(inodes(kept)) == 6 * NETWORKS


def refill(path, change):
    """What OpenVINO wrote, changed, with a digest that is right."""
    head, _, rest = path.read_bytes().partition(b"\n")
    form, _, size = head.split()
    at = len(rest) - int(size)
    key, content = rest[:at], change(rest[at:])
    sha256 = hashlib.sha256(key + content).hexdigest().encode()
    path.write_bytes(b" ".join([form, sha256, str(len(content)).encode()]) + b"\n" + key + content)


# One for each network.
CUT_OFF = (
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    lambda path: path.write_bytes(b"\x00" * 100000),
)
ANOTHERS = (
    lambda path: path.write_bytes(path.read_bytes().replace(b"cardiacseg-blob-1", b"cardiacseg-blob-9")),
    lambda path: refill(path, lambda content: b"12\nno network"),
    lambda path: refill(path, lambda content: content.replace(b";ov=", b";ov=1")),
)


@pytest.mark.parametrize("damages", [CUT_OFF, ANOTHERS])
def test_damaged_files_are_made_anew(kept, tiny_bundle, cine, plain, damages):
    large = [path for path in kept.iterdir() if path.stat().st_size > 10000]
    before = inodes(kept)
    for path, damage in zip(large, damages, strict=True):
        damage(path)
    assert digest(tiny_bundle, cine, kept) == plain
    after = inodes(kept)
    assert after.keys() == before.keys()
    assert all(after[path.name] != before[path.name] for path in large)
    assert digest(tiny_bundle, cine, kept) == plain
    assert inodes(kept) == after


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path, tiny_bundle, cine, plain):
    (tmp_path / "file").write_text("")
    assert digest(tiny_bundle, cine, tmp_path / "file") == plain
    assert digest(tiny_bundle, cine, tmp_path / "file/below") == plain
    assert (tmp_path / "file").read_text() == ""


def test_off_keeps_nothing(tmp_path, tiny_bundle, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CARDIACSEG_CACHE", str(tmp_path / "networks"))
    cardiacseg.CardiacSegmenter(tiny_bundle, device="cpu", cache="off")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("CARDIACSEG_CACHE", "off")
    cardiacseg.CardiacSegmenter(tiny_bundle, device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_the_users_cache(tmp_path, tiny_bundle, monkeypatch):
    monkeypatch.delenv("CARDIACSEG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cardiacseg.CardiacSegmenter(tiny_bundle, device="cpu")
    assert len(list((tmp_path / "cardiacseg/networks").glob("*.blob"))) == NETWORKS
    assert (tmp_path / "cardiacseg/networks").stat().st_mode & 0o777 == 0o700
    run = subprocess.run(
        [sys.executable, "-m", "cardiacseg.cli", "info", "--json"], capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout)["compiled_networks"]
    assert found["folder"] == str(tmp_path / "cardiacseg/networks")
    assert found["files"] == NETWORKS and 0 < found["bytes"] < found["limit_bytes"]
    assert found["memory_limit_bytes"] == 768 * 2**20


def test_several_processes_may_fill_one_folder(tmp_path, tiny_bundle, cine, plain):
    cine_file, cache = tmp_path / "cine.npy", tmp_path / "networks"
    np.save(cine_file, cine)
    command = [sys.executable, "-c", RUN, tiny_bundle, cache, cine_file]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(set(found)) == 1
    before = inodes(cache)
    assert len(before) == 2 * NETWORKS and {Path(name).suffix for name in before} == {".blob"}
    assert digest(tiny_bundle, cine, cache) == plain
    assert inodes(cache) == before
