"""The receiver against senders that are not ours: what it segments, refuses, logs and leaves behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pydicom
import pytest
from dicom_nodes import (
    WAIT_S,
    Archive,
    Threshold,
    archive_node,
    captured_log,
    free_port,
    in_spool,
    receiving,
    result_uid,
    storescu,
    synthetic_study,
    uids,
    wait_until,
)
from pynetdicom import AE, AllStoragePresentationContexts
from pynetdicom.sop_class import Comprehensive3DSRStorage, Verification
from synthetic_dicom import SECRETS, write

from cardiacseg.errors import DicomError, InvalidInputError, NetworkError
from cardiacseg.network.options import ReceiverOptions
from cardiacseg.network.peer import Peer
from cardiacseg.network.receive import Receiver
from cardiacseg.network.send import send
from cardiacseg.network.serving import run_until_signal
from cardiacseg.network.studies import Limits

SERVE = """
import logging, sys, time, shutil
from pathlib import Path
from cardiacseg.network.options import ReceiverOptions
from cardiacseg.network.receive import Receiver
from cardiacseg.network.receive import serve
from cardiacseg.network.studies import Limits

def segment(study, output, notes):
    print("segmenting", flush=True)
    time.sleep(float(sys.argv[2]))
    return [shutil.copy(path, output / path.name) and output / path.name for path in study.iterdir()], notes

class Told(Receiver):
    def start(self):
        super().start()
        print(self.port, flush=True)
        return self

logging.basicConfig(level="INFO")
root = Path(sys.argv[1])
folders = {"results": root / "results", "spool": root / "spool"}
serve(Told(segment, ReceiverOptions(port=0, idle_s=0.2, limits=Limits(free_bytes=0), **folders)))
print("served", flush=True)
"""


def test_storescu_in_and_results_out(tmp_path):
    made, folder = synthetic_study(tmp_path)
    segment, archive = Threshold(), Archive()
    with archive_node(archive) as peer, receiving(segment, tmp_path, peer=peer) as node:
        sent = storescu(node, folder)
        assert sent.returncode == 0 and not sent.stderr, sent.stderr
        assert segment.called.acquire(timeout=WAIT_S)
    # the end of `receiving` waits for the study in work
    (study,) = segment.studies
    assert {one.SOPInstanceUID: one for one in study} == {one.SOPInstanceUID: one for one in made.datasets}
    assert set(archive.stored) == {result_uid(dataset) for dataset in made.datasets}
    (kept,) = (tmp_path / "results").iterdir()
    assert re.fullmatch(r"study-\d{8}T\d{6}-[0-9a-f]{8}", kept.name)
    assert sorted(path.name for path in kept.iterdir()) == [f"seg-{place}.dcm" for place in range(4)]


def test_one_study_over_several_associations_and_several_over_one(tmp_path):
    (first, one), (second, two) = synthetic_study(tmp_path, 1), synthetic_study(tmp_path, 2)
    segment = Threshold()
    with receiving(segment, tmp_path, idle_s=3) as node:
        files = sorted(one.iterdir())
        send(files[:1], node)
        send([*files[1:2], *sorted(two.iterdir())], node)
        send(files[2:], node)
        for _ in range(2):
            assert segment.called.acquire(timeout=WAIT_S)
    assert sorted(map(len, segment.studies)) == [4, 4]
    assert {frozenset(uids(study)) for study in segment.studies} == {
        frozenset(uids(first.datasets)),
        frozenset(uids(second.datasets)),
    }


def abort_after(folder, node, files):
    """A sender that breaks off when it has sent the first files of a folder."""
    entity = AE("SCANNER")
    datasets = [pydicom.dcmread(path) for path in sorted(folder.iterdir())[:files]]
    entity.add_requested_context(datasets[0].SOPClassUID, datasets[0].file_meta.TransferSyntaxUID)
    association = entity.associate(node.host, node.port, ae_title=node.title)
    assert [association.send_c_store(dataset).Status for dataset in datasets] == [0] * files
    association.abort()


@pytest.mark.parametrize("allowed", [False, True])
def test_what_came_before_an_abort_is_marked_and_not_sent_on(tmp_path, allowed):
    segment, archive, aside = Threshold(), Archive(), [] if allowed else ["N_INCOMPLETE"]
    with (
        captured_log() as log,
        archive_node(archive) as peer,
        receiving(segment, tmp_path, aside, peer=peer, send_incomplete=allowed) as node,
    ):
        abort_after(synthetic_study(tmp_path)[1], node, 3)
        assert segment.called.acquire(timeout=WAIT_S)
    ((note,),) = segment.notes
    assert note[0] == "N_INCOMPLETE" and "broke off" in note[1]
    assert len(archive.stored) == (3 if allowed else 0)
    (kept,) = (tmp_path / "results").iterdir()
    assert kept.name.endswith("-incomplete") and len(list(kept.iterdir())) == 3
    text = "\n".join(log.lines)
    assert note[1] in text and ("nothing is sent: the study is incomplete" in text) != allowed


def test_the_rest_in_another_association_makes_it_complete(tmp_path):
    segment, archive = Threshold(), Archive()
    with archive_node(archive) as peer, receiving(segment, tmp_path, peer=peer, idle_s=2) as node:
        folder = synthetic_study(tmp_path)[1]
        abort_after(folder, node, 3)
        send(sorted(folder.iterdir())[3:], node)
        assert segment.called.acquire(timeout=WAIT_S)
    assert segment.notes == [[]] and len(archive.stored) == 4


def test_an_image_that_cannot_be_taken_marks_the_study(tmp_path):
    segment = Threshold()
    _, folder = synthetic_study(tmp_path)
    lost = pydicom.dcmread(folder / "IM0002")
    del lost.StudyInstanceUID
    lost.save_as(folder / "IM0002")
    with receiving(segment, tmp_path, ["N_INCOMPLETE"]) as node:
        with pytest.raises(NetworkError, match=r"stored 3 of 4 files; it did not store IM0002 \(status 0xA900\)"):
            send(folder, node)
        assert segment.called.acquire(timeout=WAIT_S)
    (((code, text),),) = segment.notes
    assert code == "N_INCOMPLETE" and "was refused" in text


# what makes and segments the images here says so; the receiver does not
@pytest.mark.filterwarnings("ignore:(The value length|Invalid value for VR UI):UserWarning")
@pytest.mark.parametrize("uid", ["1.1.16.7.06253.2332294", "anon-12", "1." + "2" * 70])
def test_uids_that_anonymizers_write_are_taken(tmp_path, uid):
    segment = Threshold()
    made, folder = synthetic_study(tmp_path)
    with pydicom.config.disable_value_validation():
        for number, one in enumerate(made.datasets):
            one.StudyInstanceUID = uid
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.03.{number}"
        write(made.datasets, folder)
        with receiving(segment, tmp_path) as node:
            assert send(folder, node).sent == 4
            assert segment.called.acquire(timeout=WAIT_S)
    assert len(segment.studies) == 1 and len(segment.studies[0]) == 4 and segment.notes == [[]]


def test_a_peer_that_takes_reports_alone_gets_the_report(tmp_path):
    segment, archive = Threshold(), Archive()

    def with_report(study, output, notes):
        files, notes = segment(study, output, notes)
        report = pydicom.dcmread(files[-1])
        report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = Comprehensive3DSRStorage
        report.save_as(files[-1])
        return files, notes

    only = [context for context in AllStoragePresentationContexts if "SR" in context.abstract_syntax.name]
    with (
        captured_log() as log,
        archive_node(archive, contexts=only) as peer,
        receiving(with_report, tmp_path, undone=1, peer=peer) as node,
    ):
        send(synthetic_study(tmp_path)[1], node)
        assert segment.called.acquire(timeout=WAIT_S)
    assert len(archive.stored) == 1
    assert re.search(r"not delivered to peer .*stored 1 of 4 files; it did not store seg-0.dcm", "\n".join(log.lines))


def test_echo_titles_and_what_is_no_storage(tmp_path):
    entity = AE("FRIEND")
    entity.add_requested_context(Verification)
    with receiving(Threshold(), tmp_path, calling_titles=["FRIEND"]) as node:
        association = entity.associate(node.host, node.port, ae_title="CARDIACSEG")
        assert association.send_c_echo().Status == 0
        association.release()
        assert not entity.associate(node.host, node.port, ae_title="SOMEONE").is_established
        with pytest.raises(NetworkError, match="calling ae title not recognised"):
            send(synthetic_study(tmp_path)[1], node, calling="STRANGER")


def test_a_bad_study_is_logged_by_its_code_and_the_next_is_served(tmp_path):
    segment = Threshold()
    made, folder = synthetic_study(tmp_path, 3)
    with captured_log() as log, receiving(segment, tmp_path) as node:
        for segment.error in (DicomError("E_NO_SAX", f"none in {SECRETS[1]}"), ValueError(SECRETS[0]), None):
            send(folder, node)
            assert segment.called.acquire(timeout=WAIT_S)
            wait_until(lambda: not in_spool(tmp_path))
    text = "\n".join(log.lines)
    assert re.search(r"study \S+: failed after [\d.]+ s: E_NO_SAX$", text, re.MULTILINE)
    assert re.search(r"study \S+: failed after [\d.]+ s: ValueError$", text, re.MULTILINE)
    assert len(re.findall("kept aside", text)) == len(re.findall("more of it arrives", text)) == 2
    assert re.search(r"study \S+: done$", text, re.MULTILINE)
    for secret in (*SECRETS, *uids(made.datasets), made.datasets[0].StudyInstanceUID):
        assert secret not in text
    assert len(list((tmp_path / "results").iterdir())) == 1


def test_a_peer_that_is_away_loses_nothing_that_is_kept(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    segment = Threshold()
    with captured_log() as log, receiving(segment, tmp_path, undone=1, peer=Peer("AWAY", "127.0.0.1", port)) as node:
        send(synthetic_study(tmp_path)[1], node)
        assert segment.called.acquire(timeout=WAIT_S)
    assert "AWAY@127.0.0.1" in "\n".join(log.lines)
    (kept,) = (tmp_path / "results").iterdir()
    assert len(list(kept.iterdir())) == 4


def test_limits_are_told_to_the_sender(tmp_path):
    _, folder = synthetic_study(tmp_path)
    size = next(folder.iterdir()).stat().st_size
    for limits, name in [
        (Limits(study_bytes=2 * size + 100), "IM0002"),
        (Limits(study_instances=3, free_bytes=0), "IM0003"),
    ]:
        refused = pytest.raises(NetworkError, match=f"{name}: status 0xA700")
        with receiving(Threshold(), tmp_path, ["E_STUDY_TOO_LARGE"], limits=limits) as node:
            with refused:
                send(folder, node)
            wait_until(lambda: not in_spool(tmp_path))
        shutil.rmtree(tmp_path / "spool")
    with receiving(Threshold(), tmp_path, undone=1, limits=Limits(open_studies=1, free_bytes=0), idle_s=60) as node:
        send(folder, node)
        with pytest.raises(NetworkError, match="IM0000: status 0xA700"):
            send(synthetic_study(tmp_path, 5)[1], node)


def test_a_sender_that_is_refused_does_not_fill_the_log(tmp_path):
    with captured_log() as log, receiving(Threshold(), tmp_path, limits=Limits(free_bytes=1 << 60)) as node:
        storescu(node, synthetic_study(tmp_path)[1], "--no-halt")
        wait_until(lambda: not in_spool(tmp_path))
    assert len([line for line in log.lines if "E_NO_SPACE" in line]) == 1


def test_a_stop_finishes_the_study_in_work(tmp_path):
    segment = Threshold()
    segment.may_end.clear()
    with receiving(segment, tmp_path, undone=1) as node:
        send(synthetic_study(tmp_path, 1)[1], node)
        assert segment.called.acquire(timeout=WAIT_S)
        send(synthetic_study(tmp_path, 2)[1], node)
        threading.Timer(0.5, segment.may_end.set).start()
    assert len(segment.studies) == 1
    (kept,) = (tmp_path / "results").iterdir()
    assert len(list(kept.iterdir())) == 4


def test_options_that_cannot_work(tmp_path):
    with pytest.raises(InvalidInputError, match="results would be lost"):
        ReceiverOptions()
    with pytest.raises(InvalidInputError, match="AE title"):
        ReceiverOptions(title="", results=tmp_path)
    with pytest.raises(InvalidInputError, match="idle_s"):
        ReceiverOptions(idle_s=0, results=tmp_path)
    with receiving(Threshold(), tmp_path) as node:
        taken = ReceiverOptions(port=node.port, results=tmp_path, spool=tmp_path)
        with pytest.raises(NetworkError, match=f"cannot listen on 127.0.0.1:{node.port}"):
            Receiver(Threshold(), taken).start()


def test_only_this_machine_is_listened_to(tmp_path):
    with receiving(Threshold(), tmp_path) as node:
        table = Path("/proc/net/tcp").read_text()
        listening = [line.split()[1] for line in table.splitlines()[1:] if line.split()[3] == "0A"]
        assert [address for address in listening if int(address.split(":")[1], 16) == node.port] == [
            f"0100007F:{node.port:04X}"
        ]


def test_the_spool_of_a_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    segment, archive, port = Threshold(), Archive(), free_port()
    with archive_node(archive) as peer:
        options = ReceiverOptions(port=port, idle_s=0.2, peer=peer, limits=Limits(free_bytes=0))
        with Receiver(segment, options):
            send(synthetic_study(tmp_path)[1], Peer("CARDIACSEG", "127.0.0.1", port))
            assert segment.called.acquire(timeout=WAIT_S)
            assert os.listdir(tmp_path / f"cardiacseg/receive-{port}/studies")
    assert not os.listdir(tmp_path / f"cardiacseg/receive-{port}")
    assert len(archive.stored) == 4


@contextmanager
def server(tmp_path, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, tmp_path, str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, Peer("CARDIACSEG", "127.0.0.1", int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_and_cleans_up(tmp_path, number):
    with server(tmp_path, 0.5) as (process, node):
        send(synthetic_study(tmp_path)[1], node)
        assert process.stdout.readline() == "segmenting\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=WAIT_S)
        assert (process.returncode, output) == (0, "served\n"), errors
    assert not list((tmp_path / "spool").iterdir())
    (kept,) = (tmp_path / "results").iterdir()
    assert len(list(kept.iterdir())) == 4


def test_a_signal_that_another_thread_gets_ends_the_wait():
    ended = []

    @contextmanager
    def part():
        Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
        yield
        ended.append("part")

    run_until_signal(part(), second="does nothing")
    assert ended == ["part"]


def test_a_second_signal_does_not_wait(tmp_path):
    with server(tmp_path, 3600) as (process, node):
        send(synthetic_study(tmp_path)[1], node)
        assert process.stdout.readline() == "segmenting\n"
        process.send_signal(signal.SIGTERM)
        while "another signal" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_S)
        assert process.returncode != 0
    assert [record["attempts"] for record in in_spool(tmp_path)] == [1]
    assert not list((tmp_path / "results").iterdir())
    with server(tmp_path, 0) as (process, node):  # the next one goes on with it
        assert process.stdout.readline() == "segmenting\n"
        wait_until(lambda: not in_spool(tmp_path))
    (kept,) = (tmp_path / "results").iterdir()
    assert len(list(kept.iterdir())) == 4


def test_an_interrupt_before_the_stop_gives_up_the_study_too(tmp_path):
    """A second signal may come while the first one is still being logged."""
    may_end = threading.Event()
    working = threading.Event()

    def segment(study, output, notes):
        working.set()
        may_end.wait(WAIT_S)
        return [], notes

    def serve():
        options = ReceiverOptions(port=0, idle_s=0.2, results=tmp_path / "results", spool=tmp_path)
        with Receiver(segment, options) as receiver:
            send(synthetic_study(tmp_path)[1], Peer("CARDIACSEG", "127.0.0.1", receiver.port))
            assert working.wait(WAIT_S)
            raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        serve()
    assert time.monotonic() - begin < WAIT_S / 2
    may_end.set()
