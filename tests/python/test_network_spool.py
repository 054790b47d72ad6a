"""The spool on the disk: private, one receiver's, in one of its states after any kill, and emptied by its rules."""

import json
import os
import shutil
import stat
import time

import pytest
from dicom_nodes import captured_log
from killed import killed_at_each_change

from cardiacseg.errors import DicomError, InvalidInputError, MrdError, NetworkError, OutputError
from cardiacseg.network.aside import Aside
from cardiacseg.network.delivery import Destination, deliveries_of
from cardiacseg.network.durable import code_of, write_private
from cardiacseg.network.serving import loggable
from cardiacseg.network.spool import WAITING, Record, Spool
from cardiacseg.network.work import process


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path / "spool")
    yield made
    made.close()


def study(spool, images=2):
    """A finished study."""
    entry = spool.new("1.2")
    for number in range(images):
        write_private(entry.images / f"{number:06}.dcm", b"image %d" % number)
    entry.update(state=WAITING, open=False)
    return entry


def join(images, output, notes):
    """A small `segment`: one result with the content of all images."""
    (output / "seg.dcm").write_bytes(b"".join(path.read_bytes() for path in sorted(images.iterdir())))
    return [output / "seg.dcm"], notes


DESTINATIONS = [Destination("peer", lambda results: None), Destination("folder", lambda results: None, remote=False)]


def test_private(tmp_path):
    old = os.umask(0)
    try:
        spool = Spool(tmp_path / "spool")
        entry = study(spool)
        process(entry, join, DESTINATIONS, send_incomplete=False)
    finally:
        os.umask(old)
    folders = [spool.root, spool.root / "studies", entry.folder, entry.results]
    files = [entry.folder / "study.json", entry.folder / "to-peer.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    spool.close()


def test_an_empty_spool_leaves_an_empty_folder(tmp_path):
    Spool(tmp_path / "spool").close()
    assert not list((tmp_path / "spool").iterdir())
    spool = Spool(tmp_path / "spool")
    with pytest.raises(InvalidInputError, match="in use by another receiver"):
        Spool(tmp_path / "spool")
    spool.close()


def test_killed_at_each_change_of_the_work(tmp_path):
    """The study is segmented again, or its result is complete and waits for both destinations."""
    states = []

    def work():
        shutil.rmtree(tmp_path / "spool", ignore_errors=True)
        shutil.copytree(tmp_path / "before", tmp_path / "spool")
        spool = Spool(tmp_path / "spool")
        process(spool.entries()[0], join, DESTINATIONS, send_incomplete=False)
        spool.close()

    def check():
        if not (tmp_path / "spool").exists() or not list((tmp_path / "spool").glob("studies/*/study.json")):
            return  # killed while this test made its copy
        spool = Spool(tmp_path / "spool")
        (entry,) = spool.entries()
        if entry.record.state == WAITING:
            assert len(list(entry.images.iterdir())) == 2
            process(entry, join, DESTINATIONS, send_incomplete=False)
        assert [one.kind for one in deliveries_of(entry)] == ["folder", "peer"]
        assert (entry.results / "seg.dcm").read_bytes() == b"image 0image 1"
        states.append(entry.record.attempts)
        spool.close()

    before = Spool(tmp_path / "before")
    study(before)
    os.close(before._lock)
    assert killed_at_each_change(work, check) > 10
    assert {1, 2} == set(states)


def aside_and_back(entry, spool):
    spool.put_aside(entry, "E_NO_SAX")
    spool.take_back(entry)


@pytest.mark.parametrize("change", [lambda entry, spool: entry.remove(), aside_and_back])
def test_killed_while_a_study_is_removed_or_put_aside(tmp_path, change):
    def work():
        spool = Spool(tmp_path / "spool")
        for entry in spool.entries():
            change(entry, spool)

    def check():
        spool = Spool(tmp_path / "spool")
        arriving, aside = spool.entries(), spool.aside()
        assert len(arriving + aside) == len(list((tmp_path / "spool").glob("*/*")))  # no folder without a record
        assert {entry.record.state for entry in arriving} <= {WAITING, "arriving"}
        assert {entry.record.state for entry in aside} <= {"aside"}
        for entry in (*arriving, *aside):
            assert len(list(entry.images.iterdir())) == 2
            entry.remove()
        study(spool)
        spool.close()

    check()
    assert killed_at_each_change(work, check) > 1


def test_a_record_that_cannot_be_read_is_kept_aside(spool):
    entry = study(spool)
    (entry.folder / "study.json").write_text("{")
    assert not spool.entries()
    (found,) = spool.aside()
    assert found.record.reason == "E_DAMAGED_ENTRY" and len(list(found.images.iterdir())) == 2


def test_what_lies_aside_too_long_or_is_too_much_is_removed(spool, monkeypatch):
    aside = Aside(spool, days=1)
    first, second, third = (study(spool) for _ in range(3))
    for entry in (first, second, third):
        aside.put(entry, "E_NO_SAX")
    assert len(aside) == 3
    record = json.loads((second.folder / "study.json").read_text())
    (second.folder / "study.json").write_text(json.dumps({**record, "since": time.time() - 2 * 86400}))
    aside = Aside(spool, days=1)
    assert len(aside) == len(spool.aside()) == 2
    monkeypatch.setattr("cardiacseg.network.aside.MOST", 1)
    aside.expire()
    assert len(aside) == len(spool.aside()) == 1


def test_a_clock_that_is_set_removes_nothing(spool, monkeypatch):
    aside = Aside(spool, days=1)
    aside.put(study(spool), "E_NO_SAX")
    now = time.time()
    for days in (-30, 30):
        monkeypatch.setattr("time.time", lambda days=days: now + days * 86400)
        aside.expire()
    assert len(aside) == 1


def test_what_lies_aside_and_cannot_be_removed_stays(spool, monkeypatch):
    aside, entry = Aside(spool, days=1), study(spool)
    aside.put(entry, "E_NO_SAX")
    monkeypatch.setattr("cardiacseg.network.aside.MOST", 0)
    with monkeypatch.context() as broken, captured_log() as log:
        broken.setattr("cardiacseg.network.spool.remove_folder", disk_fault)
        aside.expire()
    assert len(aside) == 1 and len(log.lines) == 1 and "cannot be removed" in log.lines[0]
    aside.expire()
    assert len(aside) == len(spool.aside()) == 0


def disk_fault(folder):
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NetworkError("PACS cannot be reached"), "PACS cannot be reached"),
        (MrdError("E_LOST", "gone"), "E_LOST: gone"),
        (DicomError("E_NO_SAX", "Doe^John"), "E_NO_SAX"),
        (OutputError("E_STUDY_TOO_LARGE: the spool does not take it"), "E_STUDY_TOO_LARGE"),
        (InvalidInputError("Doe.dcm is not DICOM"), "InvalidInputError"),
        (OSError(28, "No space left on device", "Doe.dcm"), "E_NO_SPACE"),
        (OSError(13, "Permission denied", "Doe.dcm"), "PermissionError"),
        (ValueError("E_Doe"), "ValueError"),
    ],
)
def test_what_is_logged_of_an_error(error, text):
    assert loggable(error) == text


def test_the_code_of_a_full_disk():
    full = OSError(28, "No space left on device")
    wrapped = RuntimeError("results")
    wrapped.__cause__ = full
    assert (code_of(full), code_of(wrapped), code_of(OSError(5, "I/O"))) == (
        "E_NO_SPACE",
        "E_NO_SPACE",
        "E_NOT_WRITTEN",
    )


def test_a_record_of_another_version_is_not_lost(spool):
    entry = study(spool)
    document = json.loads((entry.folder / "study.json").read_text())
    assert Record(**document) == entry.record
    (entry.folder / "study.json").write_text(json.dumps({**document, "new": 1}))
    assert not spool.entries() and len(spool.aside()) == 1
