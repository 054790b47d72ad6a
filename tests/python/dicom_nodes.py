"""Independent DICOM nodes for the tests: a pynetdicom storage SCP, DCMTK's storescu, and free ports."""

import logging
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE, AllStoragePresentationContexts, evt

from cardiacseg.network.peer import Peer


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
def archive_node(archive, contexts=None, syntaxes=None, tls=None, **settings):
    """Runs ``archive`` as the node ARCHIVE; gives its address. ``settings`` are attributes of pynetdicom's AE."""
    entity = AE("ARCHIVE")
    for context in contexts or AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, syntaxes or context.transfer_syntax)
    for name, value in settings.items():
        setattr(entity, name, value)
    handlers = [(evt.EVT_C_STORE, archive.on_store), (evt.EVT_ACCEPTED, archive.on_accepted)]
    server = entity.start_server(("127.0.0.1", 0), block=False, ssl_context=tls, evt_handlers=handlers)
    try:
        yield Peer("ARCHIVE", "127.0.0.1", server.server_address[1])
    finally:
        entity.shutdown()


def storescu(peer: Peer, folder: Path, calling: str = "MODALITY") -> subprocess.CompletedProcess:
    """DCMTK's sender: a folder and those below it, over one association."""
    own = str(Path(sys.executable).parent)  # where pynetdicom has a program of the same name
    program = shutil.which("storescu", path=":".join(place for place in os.environ["PATH"].split(":") if place != own))
    if program is None:
        pytest.skip("DCMTK's storescu is not installed")
    words = [program, "-aet", calling, "-aec", peer.title, "+sd", "+r", peer.host, str(peer.port), str(folder)]
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
