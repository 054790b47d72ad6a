"""Delivery of results: to a peer that is away, that confirms or does not, on a full disk, and after a restart."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from types import SimpleNamespace

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
    reasons_aside,
    receiving,
    result_uid,
    synthetic_study,
    wait_until,
)
from pynetdicom import AE, AllStoragePresentationContexts, build_context, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from synthetic_dicom import SECRETS

from cardiacseg.errors import InvalidInputError, NetworkError, OutputError
from cardiacseg.network.commitment import Commitments
from cardiacseg.network.delivery import Destination
from cardiacseg.network.destinations import CommitmentOptions
from cardiacseg.network.options import ReceiverOptions
from cardiacseg.network.peer import Peer
from cardiacseg.network.receive import Receiver
from cardiacseg.network.send import send
from cardiacseg.network.spool import Spool
from cardiacseg.network.studies import Limits


class Flaky:
    """A destination that fails until it is told to work."""

    def __init__(self, error=None):
        self.error, self.results, self.tried = error, [], threading.Semaphore(0)

    def deliver(self, results):
        self.tried.release()
        if self.error:
            raise self.error
        self.results.append((results.name, [path.name for path in results.files]))


def test_a_destination_that_is_away_gets_the_results_later(tmp_path):
    flaky, segment = Flaky(NetworkError("away", stored=["seg-1.dcm"])), Threshold()
    destinations = [Destination("stow", flaky.deliver)]
    with captured_log() as log, receiving(segment, tmp_path, results=None, destinations=destinations) as node:
        send(synthetic_study(tmp_path)[1], node)
        for _ in range(3):
            assert flaky.tried.acquire(timeout=WAIT_S)
        (record,) = in_spool(tmp_path)
        assert record["state"] == "delivering"
        assert not list((tmp_path / "spool/studies").glob("*/images"))  # nobody needs them any more
        (delivery,) = (tmp_path / "spool/studies").glob("*/to-stow.json")
        assert json.loads(delivery.read_text())["stored"] == ["seg-1.dcm"]
        flaky.error = None
        wait_until(lambda: not in_spool(tmp_path))
    assert [files for _, files in flaky.results] == [["seg-0.dcm", "seg-2.dcm", "seg-3.dcm"]]
    assert re.search(r"not delivered to stow \(attempt 3, again in \d+ s\): away", "\n".join(log.lines))


def test_the_next_receiver_delivers_what_waits(tmp_path):
    port, archive, segment = free_port(), Archive(), Threshold()
    made, folder = synthetic_study(tmp_path)
    with receiving(segment, tmp_path, undone=1, peer=Peer("ARCHIVE", "127.0.0.1", port)) as node:
        send(folder, node)
        assert segment.called.acquire(timeout=WAIT_S)
    (kept,) = (tmp_path / "results").iterdir()
    with archive_node(archive) as peer, receiving(segment, tmp_path, peer=peer):
        wait_until(lambda: not in_spool(tmp_path))
    assert len(segment.studies) == 1  # it was not segmented again
    assert set(archive.stored) == {result_uid(dataset) for dataset in made.datasets}
    assert list((tmp_path / "results").iterdir()) == [kept]


def test_another_peer_gets_all(tmp_path):
    """What the first peer has stored before it had no room is not what the second one has."""
    first, second, segment = Archive(lambda number: 0xA700 if number else 0), Archive(), Threshold()
    made, folder = synthetic_study(tmp_path)
    with archive_node(first) as peer, receiving(segment, tmp_path, undone=1, peer=peer) as node:
        send(folder, node)
        wait_until(lambda: first.arrived > 1)
    assert len(first.stored) == 1
    with archive_node(second) as peer, receiving(segment, tmp_path, peer=peer):
        wait_until(lambda: not in_spool(tmp_path))
    assert set(second.stored) == {result_uid(dataset) for dataset in made.datasets}


def test_results_without_their_destination_stay(tmp_path):
    flaky, segment = Flaky(NetworkError("away")), Threshold()
    with receiving(segment, tmp_path, undone=1, destinations=[Destination("stow", flaky.deliver)]) as node:
        send(synthetic_study(tmp_path)[1], node)
        assert flaky.tried.acquire(timeout=WAIT_S)
    with captured_log() as log, receiving(segment, tmp_path, undone=1):
        pass
    assert "wait for a destination of the kind 'stow', which is not given now" in "\n".join(log.lines)


class Confirming(Archive):
    """An archive with storage commitment, which reports over an association of its own to ``port``, or not at all."""

    def __init__(self, port, forget=0, reports=True, late_s=0):
        super().__init__()
        self.port, self.forget, self.reports, self.late_s, self.asked = port, forget, reports, late_s, []
        self.threads = []

    def on_action(self, event):
        request = event.action_information
        self.asked.append(request.TransactionUID)
        if self.reports:
            self.threads.append(threading.Thread(target=self._report, args=(request,)))
            self.threads[-1].start()
        return 0, None

    def _report(self, request):
        threading.Event().wait(self.late_s)
        entity = AE("ARCHIVE")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = entity.associate("127.0.0.1", self.port, ae_title="CARDIACSEG", ext_neg=[role])
        if not association.is_established:
            return  # an earlier report was enough, and the receiver has ended
        forgotten, self.forget = request.ReferencedSOPSequence[: self.forget], 0
        for item in forgotten:
            self.stored.pop(item.ReferencedSOPInstanceUID)
        report = pydicom.Dataset()
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence = request.ReferencedSOPSequence[len(forgotten) :]
        report.FailedSOPSequence = forgotten
        kind = 2 if forgotten else 1
        uid = StorageCommitmentPushModelInstance
        assert association.send_n_event_report(report, kind, StorageCommitmentPushModel, uid)[0].Status == 0
        association.release()


@contextlib.contextmanager
def confirming(tmp_path, mode, wait_s=WAIT_S, undone=0, calling_titles=(), **behavior):
    """An archive, and a receiver that asks it for storage commitment."""
    port = free_port()
    archive = Confirming(port, **behavior)
    contexts = [*AllStoragePresentationContexts, build_context(StorageCommitmentPushModel)]
    handlers = [(evt.EVT_N_ACTION, archive.on_action)]
    options = {"commitment": CommitmentOptions(mode, wait_s), "port": port, "calling_titles": calling_titles}
    with (
        archive_node(archive, contexts=contexts, handlers=handlers) as peer,
        receiving(Threshold(), tmp_path, peer=peer, undone=undone, **options) as node,
    ):
        yield archive, node
    for thread in archive.threads:
        thread.join(WAIT_S)


def test_a_study_is_removed_when_the_peer_confirms(tmp_path):
    made, folder = synthetic_study(tmp_path)
    with confirming(tmp_path, "require", calling_titles=["SCANNER"]) as (archive, node):
        send(folder, node, calling="SCANNER")
        wait_until(lambda: archive.asked and not in_spool(tmp_path))
    assert set(archive.stored) == {result_uid(dataset) for dataset in made.datasets}
    assert (archive.arrived, len(archive.asked)) == (4, 1)


def test_what_the_peer_does_not_keep_is_sent_again(tmp_path):
    made, folder = synthetic_study(tmp_path)
    with confirming(tmp_path, "auto", forget=1) as (archive, node):
        send(folder, node)
        wait_until(lambda: archive.asked and not in_spool(tmp_path))
    assert set(archive.stored) == {result_uid(dataset) for dataset in made.datasets}
    assert (archive.arrived, len(archive.asked)) == (5, 2)


def test_a_report_that_comes_late_counts(tmp_path):
    _, folder = synthetic_study(tmp_path)
    with confirming(tmp_path, "require", wait_s=0.05, late_s=0.5) as (archive, node):
        send(folder, node)
        wait_until(lambda: archive.asked and not in_spool(tmp_path))
    assert archive.arrived == 4


def test_reports_to_the_latest_requests_count():
    commitments, uids = Commitments(), frozenset({"1.2.3"})
    asked = [commitments.ask(uids) for _ in range(5)]

    def report(transaction):
        kept = pydicom.Dataset()
        kept.ReferencedSOPInstanceUID = "1.2.3"
        found = pydicom.Dataset()
        found.TransactionUID, found.ReferencedSOPSequence = transaction, [kept]
        commitments.on_report(SimpleNamespace(event_information=found))
        return commitments.kept(uids)

    assert [report(one) for one in asked] == [False, False, True, True, True]
    commitments.forget(uids)
    assert [report(one) for one in asked] == [False] * 5  # nothing of them is remembered


@pytest.mark.parametrize("mode", ["auto", "require"])
def test_a_peer_that_does_not_report(tmp_path, mode):
    _, folder = synthetic_study(tmp_path)
    required = mode == "require"
    with (
        captured_log() as log,
        confirming(tmp_path, mode, wait_s=0.1, undone=int(required), reports=False) as (archive, node),
    ):
        send(folder, node)
        wait_until(lambda: len(archive.asked) >= 3 + required)
        wait_until(lambda: required or not in_spool(tmp_path))
    assert archive.arrived == 4  # it was asked again, and nothing was sent again
    assert ("its status of C-STORE counts" in "\n".join(log.lines)) != required


def test_a_peer_without_storage_commitment(tmp_path):
    archive, segment = Archive(), Threshold()
    _, folder = synthetic_study(tmp_path)
    with archive_node(archive) as peer:
        required = CommitmentOptions("require")
        with captured_log() as log, receiving(segment, tmp_path, undone=1, peer=peer, commitment=required) as node:
            send(folder, node)
            wait_until(lambda: "offers no storage commitment" in "\n".join(log.lines))
        with receiving(segment, tmp_path, peer=peer):
            wait_until(lambda: not in_spool(tmp_path))
    assert len(archive.stored) == 4


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB in the place of the spool."""
    folder = tmp_path / "spool"
    folder.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_spool_that_vanishes_is_not_made_again(tmp_path):
    """Its disk was unmounted: images must not go to the disk below."""
    segment, (_, folder) = Threshold(), synthetic_study(tmp_path)
    with captured_log() as log, receiving(segment, tmp_path) as node:
        (tmp_path / "spool").rename(tmp_path / "moved")
        (tmp_path / "spool").mkdir()
        with pytest.raises(NetworkError, match="0xA700"):
            send(folder, node)
        assert any("E_NOT_WRITTEN" in line for line in log.lines)
        (tmp_path / "spool").rmdir()
        (tmp_path / "moved").rename(tmp_path / "spool")
        assert send(folder, node).sent == 4
        assert segment.called.acquire(timeout=WAIT_S)


def fill(folder):
    """A file that leaves no space on its disk."""
    with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
        while file.write(bytes(1 << 12)):
            pass
    return folder / "filler"


def test_a_full_disk_for_the_results(tmp_path, small_disk):
    filler, options = fill(small_disk), {"port": 0, "idle_s": 0.2, "retry_s": 0.1, "limits": Limits(free_bytes=0)}
    options |= {"spool": tmp_path / "state", "results": small_disk}
    with captured_log() as log, Receiver(Threshold(), ReceiverOptions(**options)) as receiver:
        receiver.take(synthetic_study(tmp_path)[1])
        wait_until(lambda: any(re.search(r"not delivered to folder .*: E_NO_SPACE", line) for line in log.lines))
        filler.unlink()
        wait_until(lambda: list(small_disk.iterdir()) == list(small_disk.glob("study-*")) != [])
    assert len(list(small_disk.glob("study-*/seg-*.dcm"))) == 4


def test_a_full_disk_refuses_instances_until_there_is_space(tmp_path, small_disk):
    segment, (made, folder) = Threshold(), synthetic_study(tmp_path)
    with captured_log() as log, receiving(segment, tmp_path, idle_s=1, incomplete_s=30) as node:
        send(sorted(folder.iterdir())[:2], node)
        filler = fill(small_disk)
        with pytest.raises(NetworkError, match="IM0002: status 0xA700"):
            send(sorted(folder.iterdir())[2:], node)
        filler.unlink()
        send(sorted(folder.iterdir())[2:], node)
        assert segment.called.acquire(timeout=WAIT_S)
        wait_until(lambda: not in_spool(tmp_path))
    assert {one.SOPInstanceUID for one in segment.studies[0]} == {one.SOPInstanceUID for one in made.datasets}
    assert segment.notes == [[]]  # it is complete
    assert "refused an instance, and does not log further ones of this sender: E_NO_SPACE" in "\n".join(log.lines)


def test_results_that_find_no_space_are_made_again(tmp_path, small_disk):
    segment, attempts = Threshold(), []

    def too_much_at_first(study, output, notes):
        attempts.append(output)
        if len(attempts) == 1:
            (output / "large").write_bytes(bytes(2 << 20))
        return segment(study, output, notes)

    with captured_log() as log, receiving(too_much_at_first, tmp_path) as node:
        send(synthetic_study(tmp_path)[1], node)
        assert segment.called.acquire(timeout=WAIT_S)
        wait_until(lambda: not in_spool(tmp_path))
    assert len(attempts) == 2 and re.search(r"failed after [\d.]+ s: E_NO_SPACE$", "\n".join(log.lines), re.MULTILINE)
    (kept,) = (tmp_path / "results").iterdir()
    assert len(list(kept.iterdir())) == 4


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=WAIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_refused_study_is_not_segmented_if_it_cannot_be_put_aside_at_once(tmp_path, monkeypatch):
    segment, faults, put_aside = Threshold(), iter([OSError(28, "No space left on device")]), Spool.put_aside

    def full_at_first(spool, entry, reason):
        for fault in faults:
            raise fault
        put_aside(spool, entry, reason)

    monkeypatch.setattr(Spool, "put_aside", full_at_first)
    limits = Limits(free_bytes=0, study_instances=3)
    with captured_log() as log, receiving(segment, tmp_path, ["E_STUDY_TOO_LARGE"], limits=limits) as node:
        with pytest.raises(NetworkError, match="A700"):
            send(synthetic_study(tmp_path)[1], node)
        wait_until(lambda: reasons_aside(tmp_path))
    assert not segment.studies
    assert any("cannot be put aside: E_NO_SPACE" in line for line in log.lines)


def test_health_and_metrics(tmp_path):
    segment, flaky = Threshold(), Flaky(NetworkError("away"))
    made, folder = synthetic_study(tmp_path)
    options = ReceiverOptions(
        port=0,
        idle_s=0.2,
        spool=tmp_path / "spool",
        destinations=[Destination("stow", flaky.deliver)],
        limits=Limits(free_bytes=0),
        health_port=0,
    )
    with Receiver(segment, options) as receiver:
        assert get(receiver.health_port, "/other")[0] == 404
        send(folder, Peer("CARDIACSEG", "127.0.0.1", receiver.port))
        assert flaky.tried.acquire(timeout=WAIT_S)
        wait_until(lambda: receiver.status().counters["deliveries_failed"])
        code, text = get(receiver.health_port, "/health")
        document = json.loads(text)
        assert (code, document["status"], document["problems"]) == (200, "ok", [])
        assert (document["instances_received"], document["studies_segmented"], document["studies_queued"]) == (4, 1, 1)
        code, text = get(receiver.health_port, "/metrics")
        lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        assert code == 200 and lines["cardiacseg_up"] == "1"
        assert lines["cardiacseg_bytes_received_total"] == str(document["bytes_received"]) != "0"
        assert lines["cardiacseg_deliveries_failed_total"] == "1"
        for secret in (*SECRETS, made.datasets[0].StudyInstanceUID):
            assert secret not in text
        receiver._listener.close()
        code, text = get(receiver.health_port, "/health")
        assert code == 503 and json.loads(text)["problems"] == ["the listener has ended"]
        (tmp_path / "spool").rename(tmp_path / "moved")
        code, text = get(receiver.health_port, "/health")
        assert code == 503 and "E_NOT_WRITTEN: the spool is not there" in text
        (tmp_path / "moved").rename(tmp_path / "spool")


def test_a_folder_is_taken_like_a_study_that_arrives(tmp_path):
    segment, (made, folder) = Threshold(), synthetic_study(tmp_path)
    options = {"idle_s": 0.2, "results": tmp_path / "results", "spool": tmp_path / "spool", "port": 0}
    with Receiver(segment, ReceiverOptions(limits=Limits(free_bytes=0), **options)) as receiver:
        receiver.take(folder)
        assert segment.called.acquire(timeout=WAIT_S)
    assert segment.notes == [[]] and len(segment.studies[0]) == len(made.datasets)
    with (
        Receiver(segment, ReceiverOptions(limits=Limits(free_bytes=1 << 60), **options)) as receiver,
        pytest.raises(OutputError, match="E_NO_SPACE: the spool does not take the study"),
    ):
        receiver.take(folder)
    unnamed = tmp_path / "unnamed"
    unnamed.mkdir()
    del made.datasets[0].StudyInstanceUID
    made.datasets[0].save_as(unnamed / "1.dcm", enforce_file_format=True)
    with Receiver(segment, ReceiverOptions(limits=Limits(free_bytes=0, study_instances=1), **options)) as receiver:
        for source, words in ((folder, "E_STUDY_TOO_LARGE: the spool"), (unnamed, "1.dcm: expected a usable Study")):
            with pytest.raises(InvalidInputError, match=words):
                receiver.take(source)


def test_a_study_that_ends_the_receiver_again_and_again_lies_aside(tmp_path):
    segment = Threshold()
    segment.may_end.clear()
    with receiving(segment, tmp_path, undone=1) as node:
        send(synthetic_study(tmp_path)[1], node)
        assert segment.called.acquire(timeout=WAIT_S)
        (path,) = (tmp_path / "spool/studies").glob("*/study.json")
        left = tmp_path / "as-it-was-when-killed"
        shutil.copytree(path.parent, left)
        segment.may_end.set()
        wait_until(lambda: not path.parent.exists())
        shutil.copytree(left, path.parent)
    with captured_log() as log, receiving(Threshold(), tmp_path, ["E_CRASHED"], attempts=1):
        wait_until(lambda: reasons_aside(tmp_path))
    assert "kept aside: E_CRASHED" in "\n".join(log.lines)


def test_a_study_without_an_acknowledged_image_leaves_nothing(tmp_path):
    with receiving(Threshold(), tmp_path, limits=Limits(free_bytes=1 << 60)) as node:
        with pytest.raises(NetworkError, match="IM0000: status 0xA700"):
            send(synthetic_study(tmp_path)[1], node)
        assert in_spool(tmp_path)
        wait_until(lambda: not in_spool(tmp_path))


def test_two_receivers_in_one_spool(tmp_path):
    with receiving(Threshold(), tmp_path) as node:
        options = ReceiverOptions(port=0, results=tmp_path / "results", spool=tmp_path / "spool")
        with pytest.raises(InvalidInputError, match="is in use by another receiver"):
            Receiver(Threshold(), options).start()
        send(synthetic_study(tmp_path)[1], node)
        wait_until(lambda: list((tmp_path / "results").iterdir()))
