"""Storing files on another DICOM node: C-STORE as service class user (PS3.4, annex B)."""

import logging
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from cardiacseg.errors import NetworkError
from cardiacseg.io.log_suppression import PYDICOM, silence_network_logs, suppress_logs
from cardiacseg.network.instances import Instance, find_instances
from cardiacseg.network.peer import Peer, check_title

LOGGER = logging.getLogger("cardiacseg.network")
_MOST_CONTEXTS = 128  # in one association, by PS3.8
_PDU_BYTES = 131072
_NAMED = 5  # files that a sentence names


@dataclass(frozen=True)
class SendReport:
    """Counts of stored files. ``others`` counts files of a folder that are not DICOM instances.

    ``warnings``: name and status of files that were stored with a warning, such as 0xB000 (elements were changed).
    """

    sent: int
    bytes: int
    seconds: float
    associations: int
    others: int
    warnings: tuple[tuple[str, int], ...]


def send(
    source: str | Path | Sequence[str | Path],
    peer: Peer,
    *,
    calling: str = "CARDIACSEG",
    timeout: float = 60.0,
    tls: ssl.SSLContext | None = None,
) -> SendReport:
    """Store a folder's DICOM files, or the given files, on ``peer``, in the order of their names and without retries.

    ``calling`` is the AE title of this program. ``timeout``, in seconds, applies to the connection and to each answer.
    With ``tls`` the connection is encrypted. Files are sent unchanged; only if the peer accepts no explicit VR,
    uncompressed files are rewritten in implicit VR. If the peer does not store a file, the others are still sent.
    Raises ``InvalidInputError`` before anything is sent if a file is not DICOM. Raises ``NetworkError`` at the end with
    the files that were not stored, and at once if the peer has no space, refuses the association or ends it.
    """
    check_title(calling)
    silence_network_logs()
    instances, others = find_instances(source)
    begin, parts, warnings, refused, sent = time.perf_counter(), split_by_contexts(instances), [], [], []
    for part in parts:
        with _associate(part, peer, calling, timeout, tls) as association:
            for instance in part:
                status, refusal = _store(association, instance, peer, f"after {len(sent)} of {len(instances)} files")
                warnings += [(instance.name, status)] if status else []
                refused += [f"{instance.name} ({refusal})"] if refusal else []
                sent += [] if refusal else [instance.bytes]
    report = SendReport(len(sent), sum(sent), time.perf_counter() - begin, len(parts), others, tuple(warnings))
    LOGGER.info("sent %d files, %.1f MB, in %.1f s", report.sent, report.bytes / 1e6, report.seconds)
    if refused:
        more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
        names = f"{', '.join(refused[:_NAMED])}{more}"
        raise NetworkError(f"{peer} stored {report.sent} of {len(instances)} files; it did not store {names}")
    return report


def contexts_of(instance: Instance) -> set[tuple[UID, UID]]:
    """The file's SOP class and transfer syntax; if uncompressed also implicit VR, which every node supports."""
    pairs = {(instance.sop_class_uid, instance.transfer_syntax_uid)}
    if not instance.transfer_syntax_uid.is_compressed:
        pairs.add((instance.sop_class_uid, ImplicitVRLittleEndian))
    return pairs


def split_by_contexts(instances: Sequence[Instance], most: int = _MOST_CONTEXTS) -> list[list[Instance]]:
    """Parts of the files, in order, none of which needs more than ``most`` presentation contexts."""
    parts: list[list[Instance]] = []
    pairs: set[tuple[UID, UID]] = set()
    for instance in instances:
        together = pairs | contexts_of(instance)
        if not parts or len(together) > most:
            parts.append([])
            together = contexts_of(instance)
        parts[-1].append(instance)
        pairs = together
    return parts


def _contexts(part: Sequence[Instance]) -> list[PresentationContext]:
    # One context for each pair: of several syntaxes in one context the peer would choose a single one.
    pairs = set().union(*(contexts_of(instance) for instance in part))
    return [build_context(kind, syntax) for kind, syntax in sorted(pairs)]


@contextmanager
def _associate(
    part: Sequence[Instance], peer: Peer, calling: str, timeout: float, tls: ssl.SSLContext | None
) -> Iterator[Association]:
    entity = AE(calling)
    entity.maximum_pdu_size = _PDU_BYTES
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout
    encryption = (tls, peer.host) if tls else None
    try:
        association = entity.associate(peer.host, peer.port, _contexts(part), peer.title, tls_args=encryption)
    except OSError as error:
        raise NetworkError(f"{peer} cannot be reached: {error.strerror or error}") from error
    if not association.is_established:
        raise NetworkError(f"{peer} {_why_not(association)}")
    try:
        yield association
        association.release()
    finally:
        if association.is_established:
            association.abort()


def _why_not(association: Association) -> str:
    answer = association.acceptor.primitive
    if association.is_rejected:
        return f"refused the association: {answer.reason_str.lower()} ({answer.result_str.lower()})"
    if association.is_aborted and answer is not None:
        return "took none of the SOP classes and transfer syntaxes that were offered"
    return "cannot be reached, or does not answer as a DICOM node"


def _store(association: Association, instance: Instance, peer: Peer, progress: str) -> tuple[int, str]:
    """The status (zero or a warning), and why the peer did not store the file; empty if it did."""
    try:
        with suppress_logs(PYDICOM):
            status = association.send_c_store(pydicom.dcmread(instance.path)).get("Status")
    except RuntimeError:
        status = None
    except Exception as error:  # no context was accepted for it, or the file changed or cannot be encoded
        return 0, _reason(error)
    if status is None:
        raise NetworkError(f"{peer} ended the association, or did not answer in time, at {instance.name}, {progress}")
    if 0xA700 <= status <= 0xA7FF:  # out of resources: the next file would fail as well
        raise NetworkError(f"{peer} did not store {instance.name}: status 0x{status:04X}, {progress}")
    warning = 0xB000 <= status <= 0xBFFF
    return (status, "") if warning or status == 0 else (0, f"status 0x{status:04X}")


def _reason(error: Exception) -> str:
    accepted = "No presentation context" not in str(error)
    return (
        f"it cannot be encoded ({type(error).__name__})" if accepted else "its SOP class or transfer syntax is refused"
    )
