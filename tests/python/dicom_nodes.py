"""Independent DICOM nodes (a pynetdicom storage SCP, DCMTK's storescu), and a receiver with a small ``segment``."""

import copy
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt
from synthetic_dicom import Recipe, classic_study, write

from cardiacseg.network.options import ReceiverOptions
from cardiacseg.network.peer import Peer
from cardiacseg.network.receive import Receiver
from cardiacseg.network.studies import Limits

WAIT_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Archive:
    """What a storage SCP that is none of ours received: file content by SOP Instance UID, and its associations."""

    def __init__(self, answers=lambda number: 0x0000):
        self.stored: dict[str, bytes] = {}
        self.arrived = 0
        self.associations = 0
        self._answers = answers

    def on_store(self, event):
        status = self._answers(self.arrived)
        self.arrived += 1
        if status == 0 or status >> 12 == 0xB:
            self.stored[str(event.request.AffectedSOPInstanceUID)] = event.encoded_dataset()
        return status

    def on_accepted(self, event):
        self.associations += 1


@contextmanager
def archive_node(archive, contexts=None, syntaxes=None, tls=None, handlers=(), **settings):
    """Runs ``archive`` as the node ARCHIVE; gives its address. ``settings`` are attributes of pynetdicom's AE."""
    entity = AE("ARCHIVE")
    for context in contexts or AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, syntaxes or context.transfer_syntax)
    for name, value in settings.items():
        setattr(entity, name, value)
    handlers = [*handlers, (evt.EVT_C_STORE, archive.on_store), (evt.EVT_ACCEPTED, archive.on_accepted)]
    server = entity.start_server(("127.0.0.1", 0), block=False, ssl_context=tls, evt_handlers=handlers)
    try:
        yield Peer("ARCHIVE", "127.0.0.1", server.server_address[1])
    finally:
        entity.shutdown()


def storescu(peer: Peer, folder: Path, *options, calling: str = "MODALITY") -> subprocess.CompletedProcess:
    """DCMTK's sender: a folder and those below it, over one association."""
    own = str(Path(sys.executable).parent)  # where pynetdicom has a program of the same name
    program = shutil.which("storescu", path=":".join(place for place in os.environ["PATH"].split(":") if place != own))
    if program is None:
        pytest.skip("DCMTK's storescu is not installed")
    options = [*map(str, options), "-aet", calling, "-aec", peer.title, "+sd", "+r"]
    words = [program, *options, peer.host, str(peer.port), str(folder)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


class Log(logging.Handler):
    """Keeps formatted lines."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(self.format(record))


@contextmanager
def captured_log():
    """Everything that any logger writes, as a host program with a verbose root logger would see it."""
    log, root = Log(), logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        root.removeHandler(log)
        root.setLevel(level)


def result_uid(dataset):
    return generate_uid(entropy_srcs=[dataset.SOPInstanceUID])


class Threshold:
    """Marks bright pixels of each file of a study: a real, small `segment` whose results say what they came from."""

    def __init__(self):
        self.studies = []
        self.notes = []
        self.called = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.may_end.set()
        self.error = None

    def __call__(self, study, output, notes):
        files = sorted(study.iterdir())
        self.notes.append([(note.code, note.text) for note in notes])
        self.studies.append([pydicom.dcmread(path) for path in files])
        self.called.release()
        assert self.may_end.wait(WAIT_S)
        if self.error:
            raise self.error
        studies = enumerate(self.studies[-1])
        return [self._result(dataset, output / f"seg-{place}.dcm") for place, dataset in studies], notes

    def _result(self, dataset, path):
        result = pydicom.Dataset()
        result.update({one.tag: copy.copy(one) for one in dataset if one.tag.group in (8, 16, 32, 40)})
        result.file_meta = pydicom.dataset.FileMetaDataset()
        result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        result.SOPInstanceUID = result.file_meta.MediaStorageSOPInstanceUID = result_uid(dataset)
        result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
        result.PixelData = (dataset.pixel_array > 300).astype("<u2").tobytes()
        result.save_as(path, enforce_file_format=True)
        return path


@contextmanager
def receiving(segment, tmp_path, aside=(), undone=0, **options):
    """A receiver; at its end ``undone`` studies are in its spool and others lie aside for the reasons ``aside``."""
    settings = {
        "port": 0,
        "idle_s": 0.3,
        "incomplete_s": 0.5,
        "retry_s": 0.1,
        "limits": Limits(free_bytes=0),
        "spool": tmp_path / "spool",
        "results": tmp_path / "results",
        **options,
    }
    with Receiver(segment, ReceiverOptions(**settings)) as receiver:
        yield Peer("CARDIACSEG", "127.0.0.1", receiver.port)
    assert (len(in_spool(tmp_path)), reasons_aside(tmp_path)) == (undone, sorted(aside))
    assert not [thread for thread in threading.enumerate() if "cardiacseg" in thread.name]


def in_spool(tmp_path):
    """The records of the studies in a spool that do not lie aside."""
    return [json.loads(path.read_text()) for path in (tmp_path / "spool/studies").glob("*/study.json")]


def reasons_aside(tmp_path):
    return sorted(json.loads(path.read_text())["reason"] for path in (tmp_path / "spool/aside").glob("*/study.json"))


def wait_until(condition, seconds=WAIT_S):
    """Look again and again; for what tells of no event."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def synthetic_study(tmp_path, seed=0):
    made = classic_study(Recipe(frames=2, slices=2, size=(32, 36), seed=seed))
    write(made.datasets, tmp_path / f"study{seed}")
    return made, tmp_path / f"study{seed}"


def uids(datasets):
    return {dataset.SOPInstanceUID for dataset in datasets}
