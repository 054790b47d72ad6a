"""Sending files to another DICOM node: C-STORE as service class user (PS3.4, annex B); node addresses, DICOM files."""

import logging
import os
import re
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

from cardiacseg.errors import InvalidInputError, NetworkError
from cardiacseg.io.log_suppression import PYDICOM, silence_network_logs, suppress_logs

_PEER = re.compile(r"(?P<title>[^@]+)@(?P<host>\[[^\]]+\]|[^@:\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Peer:
    """A node's AE title, its host (a name or an address) and its TCP port. Raises ``InvalidInputError``."""

    title: str
    host: str
    port: int

    def __post_init__(self):
        check_title(self.title)
        if not 1 <= self.port <= 65535:
            raise InvalidInputError(f"port {self.port} of {self.title} is not a port; expected 1 to 65535")

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """``"PACS@archive.example:104"`` or ``"PACS@[::1]:104"`` as a peer. Raises ``InvalidInputError``."""
        found = _PEER.fullmatch(text.strip())
        if not found:
            raise InvalidInputError(
                f"{text!r} names no DICOM node; expected TITLE@HOST:PORT, such as PACS@127.0.0.1:104"
            )
        return cls(found["title"], found["host"].strip("[]"), int(found["port"]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.title}@{host}:{self.port}"


def check_title(title: str) -> None:
    """Raises ``InvalidInputError`` if it is not a valid AE title (PS3.5, value representation AE)."""
    if not re.fullmatch(r"[ -\[\]-~]{1,16}", title) or not title.strip():
        raise InvalidInputError(
            f"{title!r} is not an AE title; expected 1 to 16 printable ASCII characters but no backslash"
        )


_DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class Instance:
    """A DICOM file: ``name`` is its path relative to the given folder; ``bytes`` its size on disk."""

    path: Path
    name: str
    sop_class_uid: UID
    sop_instance_uid: str
    transfer_syntax_uid: UID
    bytes: int


def find_instances(source: str | Path | Sequence[str | Path]) -> tuple[list[Instance], int]:
    """The given DICOM files (PS3.10) and those in given folders and below, each once, folders in order of name.

    The second value counts other files in the folders, including a DICOMDIR, which are left out. Raises
    ``InvalidInputError`` for a given file that is not DICOM, for a damaged one, and if there is no DICOM file.
    """
    named = [source] if isinstance(source, (str, Path)) else source
    names = {file: name for path in map(Path, named) for file, name in _files(path)}
    instances = [_instance(path, name) for path, name in names.items() if _has_preamble(path)]
    stored = [instance for instance in instances if instance.sop_class_uid != _DICOMDIR]
    if not stored:
        raise InvalidInputError("nothing to send: expected at least one DICOM file")
    return stored, len(names) - len(stored)


def _files(path: Path) -> list[tuple[Path, str]]:
    """A folder's regular files and those below it, or the one file, with the names for messages."""
    if path.is_dir():
        return [(file, str(file.relative_to(path))) for file in sorted(path.rglob("*")) if file.is_file()]
    _require_dicom(path)
    return [(path, path.name)]


def _require_dicom(path: Path) -> None:
    if not path.is_file():
        raise InvalidInputError(f"{path.name} does not exist or is not a file; expected a DICOM file")
    if not _has_preamble(path):
        raise InvalidInputError(f"{path.name} is not a DICOM file: the letters DICM are missing at byte 128")


def _has_preamble(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _instance(path: Path, name: str) -> Instance:
    try:
        dataset = pydicom.dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        kind = UID(uid_text(dataset, "SOPClassUID") or dataset.file_meta.MediaStorageSOPClassUID)
        is_dicomdir = kind == _DICOMDIR
        own_uid = uid_text(dataset, "SOPInstanceUID")
    except Exception as error:  # pydicom raises many kinds of errors for damaged files
        raise InvalidInputError(f"{name}: the DICOM header is damaged ({type(error).__name__})") from None
    if not (kind.is_valid and syntax.is_valid and (own_uid or is_dicomdir)):
        raise InvalidInputError(
            f"{name}: SOP Class UID, SOP Instance UID or Transfer Syntax UID is missing or not a UID"
        )
    return Instance(path, name, kind, own_uid, syntax, os.path.getsize(path))


def uid_text(dataset: pydicom.Dataset, keyword: str) -> str:
    """A UID of a dataset, or an empty text; unlike pydicom's own access, without warnings that quote values."""
    element = dataset.get_item(keyword)
    value = element.value if element is not None else b""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\0 ")


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
        return "accepted none of the offered SOP classes and transfer syntaxes"
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
