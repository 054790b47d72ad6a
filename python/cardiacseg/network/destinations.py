"""The destinations of results: a folder, a DICOM node, which may confirm that it keeps them, a DICOMweb service."""

import os
import shutil
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cardiacseg.network.commitment import Commitments, commit
from cardiacseg.network.delivery import Destination, Results
from cardiacseg.network.dicomweb.client import store as store_by_web
from cardiacseg.network.dicomweb.server import WebServer
from cardiacseg.network.durable import remove_folder, sync
from cardiacseg.network.instances import find_instances
from cardiacseg.network.peer import Peer, Requestor
from cardiacseg.network.send import send


def folder_destination(parent: Path) -> Destination:
    """Keeps results in ``parent``, in a subfolder for each study, which appears with all files or not at all."""

    def deliver(results: Results) -> None:
        target = parent / (f"study-{results.name}-incomplete" if results.incomplete else f"study-{results.name}")
        if not target.exists():  # else the receiver was killed when it had just been made
            _copy(results.folder, parent / f".study-{results.name}.partial", target)

    return Destination("folder", deliver, remote=False)


def _copy(source: Path, partial: Path, target: Path) -> None:
    remove_folder(partial)
    try:
        partial.mkdir(mode=stat.S_IMODE(source.stat().st_mode))
        for path in sorted(source.rglob("*")):  # not by shutil.copytree, whose error does not say that the disk is full
            if path.is_dir():
                (partial / path.relative_to(source)).mkdir(mode=0o700)
            else:
                shutil.copyfile(path, partial / path.relative_to(source))
        for path in (*partial.rglob("*"), partial):
            sync(path)
        os.rename(partial, target)
        sync(target.parent)
    except BaseException:
        remove_folder(partial)
        raise


@dataclass(frozen=True)
class CommitmentOptions:
    """Storage commitment: ``"auto"`` asks if the peer offers it, ``"require"`` takes nothing else for a yes, ``"off"``.

    A report is awaited for ``wait_s`` seconds; then the results wait in the queue, and it is asked again. With
    ``"auto"`` the peer's status of C-STORE counts after three times without a report.
    """

    mode: str = "auto"
    wait_s: float = 30.0


NO_COMMITMENT = CommitmentOptions("off")


def peer_destination(
    peer: Peer,
    calling: str,
    commitments: Commitments,
    options: CommitmentOptions = NO_COMMITMENT,
    *,
    timeout: float = 60.0,
    tls: ssl.SSLContext | None = None,
) -> Destination:
    """Stores results on ``peer`` (C-STORE); ``commitments`` hears of the reports that the peer sends."""
    requestor = Requestor(peer, calling, timeout, tls)

    def store(files: Sequence[Path]) -> None:
        send(files, peer, calling=calling, timeout=timeout, retries=1, tls=tls)

    def deliver(results: Results) -> None:
        if results.files:
            store(results.files)
        if options.mode != "off":
            instances, _ = find_instances(results.dicom)
            required = options.mode == "require"
            resend = lambda failed: store([instance.path for instance in failed])  # noqa: E731
            commit(instances, requestor, commitments, required, options.wait_s, resend)

    return Destination("peer", deliver, address=str(peer))


def web_destination(server: WebServer) -> Destination:
    """Stores results in a DICOMweb service (STOW-RS), whose answer counts."""

    def deliver(results: Results) -> None:
        if results.files:
            store_by_web(results.files, replace(server, attempts=2))  # the queue tries again as well

    return Destination("stow", deliver, address=server.root)
