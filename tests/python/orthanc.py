"""A real Orthanc for the tests, in a separate network if that is allowed: Orthanc listens on all interfaces.

A relay in front of it serves DICOMweb over TLS, because Debian's build crashes if it serves TLS itself.
"""

import ctypes
import json
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from dicom_nodes import free_port

from cardiacseg.network.peer import Peer

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
READY_S = 60
_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@contextmanager
def own_network() -> Iterator[None]:
    """Puts this thread, and what it starts, into a network with only loopback; does nothing if that is forbidden."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_NEW_NETWORK) == 0:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(home, _NEW_NETWORK)
        os.close(home)


class Orthanc:
    """The REST interface of a running Orthanc; ``peer`` is its DICOM node, ``sdk_port`` the port to which it sends."""

    def __init__(self, http_port: int, peer: Peer, sdk_port: int, user: tuple[str, str] | None):
        self.peer, self.sdk_port, self.http_port = peer, sdk_port, http_port
        self._root = f"http://127.0.0.1:{http_port}"
        opener = urllib.request.build_opener()
        if user:
            opener.addheaders = [("Authorization", f"Basic {b64encode(':'.join(user).encode()).decode()}")]
        self._open = opener.open

    def get(self, path: str) -> bytes:
        with self._open(self._root + path, timeout=60) as answer:
            return answer.read()

    def post(self, path: str, document: object) -> object:
        request = urllib.request.Request(self._root + path, json.dumps(document).encode(), method="POST")
        with self._open(request, timeout=300) as answer:
            return json.load(answer)

    def delete_all(self) -> None:
        for study in json.loads(self.get("/studies")):
            self._open(urllib.request.Request(f"{self._root}/studies/{study}", method="DELETE"), timeout=60).close()

    def files(self, modality: str) -> list[bytes]:
        """Every stored file of a modality."""
        query = {"Level": "Instance", "Query": {"Modality": modality}}
        return [self.get(f"/instances/{found}/file") for found in self.post("/tools/find", query)]

    def route_to_sdk(self) -> dict:
        """Send all studies to the node CARDIACSEG on ``sdk_port``, and wait until they are there."""
        studies = json.loads(self.get("/studies"))
        return self.post("/modalities/sdk/store", {"Resources": studies, "Synchronous": True})


@contextmanager
def running_orthanc(folder: Path, user: tuple[str, str] | None = None) -> Iterator[Orthanc]:
    """Starts Orthanc with an empty store in ``folder``; skips if it is not installed.

    With ``user``, a name and a password, also DICOMweb, and HTTP is for this user only.
    """
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("Orthanc (package orthanc) is not installed")
    http, dicom, sdk = free_port(), free_port(), free_port()
    memory = Path("/dev/shm")  # Orthanc waits for the disk after each file
    store = Path(tempfile.mkdtemp(prefix="orthanc-test-", dir=memory if os.access(memory, os.W_OK) else folder))
    settings = _settings(store, http, dicom, sdk) | (_dicomweb(*user) if user else {})
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with open(folder / "orthanc.log", "wb") as log:
        process = subprocess.Popen([program, folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        orthanc = Orthanc(http, Peer("ORTHANC", "127.0.0.1", dicom), sdk, user)
        _wait_until_ready(orthanc, process, folder / "orthanc.log")
        yield orthanc
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(store, ignore_errors=True)


def _settings(store: Path, http: int, dicom: int, sdk: int) -> dict[str, object]:
    return {
        "Name": "test",
        "StorageDirectory": str(store),
        "IndexDirectory": str(store),
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "UnknownSopClassAccepted": True,  # 1.10 knows no LABELMAP segmentation
        "OverwriteInstances": True,
        "DicomModalities": {"sdk": ["CARDIACSEG", "127.0.0.1", sdk]},
    }


def _dicomweb(name: str, password: str) -> dict[str, object]:
    if not _DICOMWEB.exists():
        pytest.skip("Orthanc's DICOMweb plugin (package orthanc-dicomweb) is not installed")
    return {"Plugins": [str(_DICOMWEB)], "AuthenticationEnabled": True, "RegisteredUsers": {name: password}}


@contextmanager
def tls_in_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port that speaks TLS and passes what it reads on to ``port`` of this computer, and back."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self):
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", port)) as inner,
            ):
                back = threading.Thread(target=_copy, args=(inner, outer))
                back.start()
                _copy(outer, inner)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as relay:
        thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield relay.server_address[1]
        finally:
            relay.shutdown()
            thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def _wait_until_ready(orthanc: Orthanc, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            orthanc.get("/system")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"Orthanc did not start:\n{log.read_text()[-2000:]}")
