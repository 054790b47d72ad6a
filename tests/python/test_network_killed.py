"""A receiver that is killed at random moments: nothing is lost, nothing is sent under another UID, nothing is left."""

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
from os import kill
from pathlib import Path

import pydicom
import pytest
from dicom_nodes import WAIT_S, Archive, archive_node, free_port, in_spool, wait_until
from receiver_process import OPTIONS
from synthetic_dicom import Recipe, classic_study, write

from cardiacseg.errors import NetworkError
from cardiacseg.network.peer import Peer
from cardiacseg.network.send import send
from cardiacseg.study.case_run import StudySegmenter

LONGEST_S = 8.0  # to wait for a moment to kill at
END_S = 600.0  # for all studies to be done


class Sender:
    """Sends studies one after another, each until all its images are acknowledged; remembers what was."""

    def __init__(self, folders, node):
        self._folders, self._node = folders, node
        self.acknowledged = set()
        self.done = set()
        self._thread = None

    @contextlib.contextmanager
    def sending(self):
        """Sends during the block."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()

    def stop(self):
        """Wait for the answer or the error that the block's end has left."""
        self._thread.join()

    def _run(self):
        for folder in self._folders:
            while folder not in self.done and not self._stop.is_set():
                left = [path for path in sorted(folder.iterdir()) if path not in self.acknowledged]
                try:
                    send(left, self._node, retries=0, timeout=WAIT_S)
                    stored = [path.name for path in left]
                except NetworkError as error:
                    stored = error.stored
                    self._stop.wait(0.02)
                self.acknowledged |= {folder / name for name in stored}
                if len(stored) == len(left):
                    self.done.add(folder)


@contextlib.contextmanager
def zygote(*arguments):
    program = Path(__file__).parent / "receiver_process.py"
    process = subprocess.Popen(
        [sys.executable, program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(WAIT_S)
        process.stdout.close()


@contextlib.contextmanager
def receiver(parent):
    """A receiver that gets SIGKILL at the end of the block."""
    print("start", file=parent.stdin, flush=True)
    child = int(parent.stdout.readline())
    try:
        yield
    finally:
        kill(child, signal.SIGKILL)


def expected_results(segmenter, folder, output):
    """The UIDs of the results of a receiver that nobody kills."""
    output.mkdir()
    files, _ = StudySegmenter(segmenter, OPTIONS)(folder, output)
    return {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files}


def kept_instances(tmp_path):
    """The UIDs of all images in the spool."""
    images = (tmp_path / "spool").glob("*/*/images/*.dcm")
    return {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in images}


class Case:
    """A synthetic study in a folder, and the results that it must give."""

    def __init__(self, tmp_path, segmenter, seed):
        study = classic_study(Recipe(frames=8, slices=3, size=(32, 36), seed=seed))
        self.folder, self.uid = tmp_path / f"study{seed}", study.datasets[0].StudyInstanceUID
        self.instances = dict(zip(write(study.datasets, self.folder), uids_in_order(study), strict=True))
        self.results = expected_results(segmenter, self.folder, tmp_path / f"expected{seed}")

    def is_safe(self, acknowledged, archive, records, kept):
        """Whether each acknowledged image is among those that are ``kept``, or what was made of it is."""
        segmented = any(one["study_uid"] == self.uid and one["state"] == "delivering" for one in records)
        if segmented or self.results <= set(archive.stored):
            return True
        return {self.instances[path] for path in acknowledged & set(self.instances)} <= kept


def uids_in_order(study):
    return [dataset.SOPInstanceUID for dataset in study.datasets]


def bring_back(cases, tmp_path, node):
    """Send those studies again that lie aside: the receiver was killed between their last image and their release."""
    uids_aside = {json.loads(path.read_text())["study_uid"] for path in (tmp_path / "spool/aside").glob("*/study.json")}
    for case in cases:
        if case.uid in uids_aside:
            send(case.folder, node)
    return not uids_aside


class Moments:
    """Random moments of all kinds: at any time, and soon after something began, however slow this computer is."""

    def __init__(self, chance, tmp_path, archive):
        self._chance, self._spool, self._archive, self._left = chance, tmp_path / "spool/studies", archive, []

    def wait(self):
        if not self._left:
            self._left = ["", "", "*/images/*", "*/results/*.nii.gz", "*/to-peer.json", "stored"]
            self._chance.shuffle(self._left)
        self._wait_for(self._left.pop())
        threading.Event().wait(self._chance.uniform(0, 0.2))

    def _wait_for(self, kind):
        stored = len(self._archive.stored)
        with contextlib.suppress(AssertionError):  # all studies may be done
            if kind == "stored":
                wait_until(lambda: len(self._archive.stored) > stored, LONGEST_S)
            elif kind:
                wait_until(lambda: list(self._spool.glob(kind)), LONGEST_S)
            else:
                threading.Event().wait(self._chance.uniform(0, 1.5))


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, segmenter, tiny_bundle, kills):
    cases = [Case(tmp_path, segmenter, seed) for seed in range(3 if kills == 6 else 20)]
    archive, node = Archive(), Peer("CARDIACSEG", "127.0.0.1", free_port())
    sender = Sender([case.folder for case in cases], node)
    folders, moments = (tmp_path / "spool", tmp_path / "results"), Moments(random.Random(kills), tmp_path, archive)
    with archive_node(archive) as peer, zygote(*folders, tiny_bundle, node.port, peer) as parent:
        for _ in range(kills):
            with receiver(parent), sender.sending():
                moments.wait()
            sender.stop()
            found = archive, in_spool(tmp_path), kept_instances(tmp_path)
            assert all(case.is_safe(sender.acknowledged, *found) for case in cases)
        with receiver(parent), sender.sending():
            studies = tmp_path / "spool/studies"
            wait_until(lambda: len(sender.done) == len(cases) and not list(studies.iterdir()), END_S)
            while not bring_back(cases, tmp_path, node):
                wait_until(lambda: not list(studies.iterdir()), END_S)
    assert set(archive.stored) == set().union(*(case.results for case in cases))
    names = [path.name for path in (tmp_path / "results").iterdir()]
    assert len([name for name in names if not name.endswith("-incomplete")]) == len(cases)
    assert not [name for name in names if name.startswith(".")]
    assert not list((tmp_path / "spool").glob("*/*"))
