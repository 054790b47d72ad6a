"""Storing files on another node: C-STORE as service class user (PS3.4, annex B)."""

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
    """What was stored. ``others`` counts files of a folder that are not DICOM instances.

    ``warnings`` are files that the peer took with a warning, such as 0xB000 (it changed elements), and the status.
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
    """Store a folder's DICOM files, or the files named, on ``peer``, in the order of their names and without retries.

    ``calling`` is our own AE title. ``timeout`` in seconds holds for the connection and for each answer. With ``tls``
    the connection is encrypted. Files go as they are; if the peer takes no explicit VR, uncompressed ones are
    rewritten in implicit VR. A file that the peer does not take keeps no other from it. Raises ``InvalidInputError``
    before anything is sent for what is not DICOM; ``NetworkError`` after all that the peer takes was sent, with the
    files that it did not take, and at once if it has no room or refuses or ends the association.
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
        raise NetworkError(f"{peer} took {report.sent} of {len(instances)} files, and did not take {names}")
    return report


def contexts_of(instance: Instance) -> set[tuple[UID, UID]]:
    """SOP class and transfer syntax as the file has it; uncompressed also implicit VR, which every node knows."""
    pairs = {(instance.sop_class_uid, instance.transfer_syntax_uid)}
    if not instance.transfer_syntax_uid.is_compressed:
        pairs.add((instance.sop_class_uid, ImplicitVRLittleEndian))
    return pairs


def split_by_contexts(instances: Sequence[Instance], most: int = _MOST_CONTEXTS) -> list[list[Instance]]:
    """Runs of files, in their order, of which none needs more than ``most`` presentation contexts."""
    parts: list[list[Instance]] = []
    pairs: set[tuple[UID, UID]] = set()
    for instance in instances:
        wanted = pairs | contexts_of(instance)
        if not parts or len(wanted) > most:
            parts.append([])
            wanted = contexts_of(instance)
        parts[-1].append(instance)
        pairs = wanted
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
    """The status, which is zero or a warning, and why the peer did not take the file, if so."""
    try:
        with suppress_logs(PYDICOM):
            status = association.send_c_store(pydicom.dcmread(instance.path)).get("Status")
    except RuntimeError:
        status = None
    except Exception as error:  # no context was accepted for it, or the file changed or cannot be encoded
        return 0, _reason(error)
    if status is None:
        raise NetworkError(f"{peer} ended the association, or did not answer in time, at {instance.name}, {progress}")
    if 0xA700 <= status <= 0xA7FF:  # out of resources: the next file would fare no better
        raise NetworkError(f"{peer} did not store {instance.name}: status 0x{status:04X}, {progress}")
    warning = 0xB000 <= status <= 0xBFFF
    return (status, "") if warning or status == 0 else (0, f"status 0x{status:04X}")


def _reason(error: Exception) -> str:
    accepted = "No presentation context" not in str(error)
    return (
        f"it cannot be encoded ({type(error).__name__})" if accepted else "its SOP class or transfer syntax is refused"
    )
