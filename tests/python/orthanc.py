"""A real Orthanc for the tests, in a separate network if that is allowed: Orthanc listens on all interfaces."""

import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dicom_nodes import free_port

from cardiacseg.network.peer import Peer

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
READY_S = 60


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

    def __init__(self, http_port: int, peer: Peer, sdk_port: int):
        self.peer, self.sdk_port = peer, sdk_port
        self._root = f"http://127.0.0.1:{http_port}"

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._root + path, timeout=60) as answer:
            return answer.read()

    def post(self, path: str, document: object) -> object:
        request = urllib.request.Request(self._root + path, json.dumps(document).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def delete_all(self) -> None:
        for study in json.loads(self.get("/studies")):
            urllib.request.urlopen(urllib.request.Request(f"{self._root}/studies/{study}", method="DELETE"), timeout=60)

    def files(self, modality: str) -> list[bytes]:
        """Every stored file of a modality."""
        query = {"Level": "Instance", "Query": {"Modality": modality}}
        return [self.get(f"/instances/{found}/file") for found in self.post("/tools/find", query)]

    def route_to_sdk(self) -> dict:
        """Send all studies to the node CARDIACSEG on ``sdk_port``, and wait until they are there."""
        studies = json.loads(self.get("/studies"))
        return self.post("/modalities/sdk/store", {"Resources": studies, "Synchronous": True})


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Starts Orthanc with an empty store in ``folder``; skips if it is not installed."""
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("Orthanc (package orthanc) is not installed")
    http, dicom, sdk = free_port(), free_port(), free_port()
    memory = Path("/dev/shm")  # Orthanc waits for the disk after each file
    store = Path(tempfile.mkdtemp(prefix="orthanc-test-", dir=memory if os.access(memory, os.W_OK) else folder))
    (folder / "orthanc.json").write_text(json.dumps(_settings(store, http, dicom, sdk)))
    with open(folder / "orthanc.log", "wb") as log:
        process = subprocess.Popen([program, folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        orthanc = Orthanc(http, Peer("ORTHANC", "127.0.0.1", dicom), sdk)
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


def _wait_until_ready(orthanc: Orthanc, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            orthanc.get("/system")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"Orthanc did not start:\n{log.read_text()[-2000:]}")
