"""Sending files to another DICOM node: C-STORE as service class user (PS3.4, annex B), with retries."""

import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from cardiacseg.errors import NetworkError
from cardiacseg.io.log_suppression import PYDICOM, silence_network_logs, suppress_logs
from cardiacseg.network.instances import Instance, find_instances
from cardiacseg.network.peer import BrokenOffError, Peer, Requestor, check_title

LOGGER = logging.getLogger("cardiacseg.network")
_MOST_CONTEXTS = 128  # in one association, by PS3.8
DUPLICATE = 0x0111  # the peer has an instance with this UID (PS3.7, annex C)
_NAMED = 5  # files that a sentence names
_FIRST_PAUSE_S = 0.5  # before the first retry; it doubles with each


@dataclass(frozen=True)
class SendReport:
    """Counts of stored files. ``others`` counts files of a folder that are not DICOM instances.

    ``warnings``: name and status of files that were stored with a warning, such as 0xB000 (elements were changed), and
    of those that the receiver has already (0x0111; over DICOMweb also 0xB00E), under the same UID.
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
    retries: int = 3,
    tls: ssl.SSLContext | None = None,
) -> SendReport:
    """Store a folder's DICOM files, or the given files, on ``peer``, in the order of their names.

    ``calling`` is the AE title of this program. ``timeout``, in seconds, applies to the connection and to each answer.
    If an association ends, an answer is lost, or the peer is busy, the files without an answer are sent again over a
    new association, with the same UIDs, after 0.5, 1, 2, ... s: up to ``retries`` times without any progress.
    With ``tls`` the connection is encrypted. Files are sent unchanged; only if the peer accepts no explicit VR,
    uncompressed files are rewritten in implicit VR. If the peer does not store a file, the others are still sent.

    Raises ``InvalidInputError`` before anything is sent if a file is not DICOM. Raises ``NetworkError`` at the end with
    the files that were not stored, after the retries, and at once if the peer has no space, refuses the association for
    good or cannot be reached at first; its ``stored`` names the files that were stored.
    """
    check_title(calling)
    silence_network_logs()
    instances, others = find_instances(source)
    begin, sending = time.perf_counter(), _Sending(instances, peer, Requestor(peer, calling, timeout, tls))
    sending.run(retries)
    sending.check()
    seconds = time.perf_counter() - begin
    sent = [instance for instance in instances if instance in sending.stored]
    report = SendReport(
        len(sent),
        sum(instance.bytes for instance in sent),
        seconds,
        sending.associations,
        others,
        tuple((instance.name, status) for instance, status in sending.stored.items() if status),
    )
    LOGGER.info("sent %d files, %.1f MB, in %.1f s", report.sent, report.bytes / 1e6, report.seconds)
    return report


def not_all_stored(receiver: str, stored: Sequence[str], count: int, refused: Mapping[str, str]) -> NetworkError:
    """Says which of ``count`` files, at most five of them, a receiver refused, and why; ``stored`` names the others."""
    more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
    names = ", ".join(f"{name} ({reason})" for name, reason in list(refused.items())[:_NAMED])
    sentence = f"{receiver} stored {len(stored)} of {count} files; it did not store {names}{more}"
    return NetworkError(sentence, stored=stored)


class _Sending:
    """One call of :func:`send`: which files were stored, with which status, and which were refused, and why."""

    def __init__(self, instances: Sequence[Instance], peer: Peer, requestor: Requestor):
        self._instances, self._peer, self._requestor = instances, peer, requestor
        self.stored: dict[Instance, int] = {}
        self.refused: dict[Instance, str] = {}
        self.associations = 0

    def run(self, retries: int) -> None:
        failures = 0
        while remaining := [one for one in self._instances if one not in self.stored and one not in self.refused]:
            try:
                self._attempt(remaining)
            except BrokenOffError as error:
                answered = len(self.stored) + len(self.refused) > len(self._instances) - len(remaining)
                failures = 1 if answered else failures + 1
                if failures > retries:
                    raise self._with_stored(error) from None
                LOGGER.warning("%s; attempt %d of %d follows", error, failures, retries)
                time.sleep(_FIRST_PAUSE_S * 2 ** (failures - 1))
            except NetworkError as error:
                raise self._with_stored(error) from None

    def check(self) -> None:
        """Raise ``NetworkError`` with the names of files that were not stored."""
        if self.refused:
            stored = [instance.name for instance in self.stored]
            refused = {instance.name: reason for instance, reason in self.refused.items()}
            raise not_all_stored(str(self._peer), stored, len(self._instances), refused)

    def _with_stored(self, error: NetworkError) -> NetworkError:
        return NetworkError(str(error), stored=[instance.name for instance in self.stored])

    def _attempt(self, remaining: Sequence[Instance]) -> None:
        for part in split_by_contexts(remaining):
            with self._requestor.associate(_contexts(part), again=self.associations > 0) as association:
                self.associations += 1
                for instance in part:
                    self._store(association, instance)

    def _store(self, association: Association, instance: Instance) -> None:
        try:
            with suppress_logs(PYDICOM):
                status = association.send_c_store(pydicom.dcmread(instance.path)).get("Status")
        except RuntimeError:
            status = None
        except Exception as error:  # no context was accepted for it, or the file changed or cannot be encoded
            self.refused[instance] = _reason(error)
            return
        peer, name, progress = self._peer, instance.name, f"after {len(self.stored)} of {len(self._instances)} files"
        if status is None:
            raise BrokenOffError(f"{peer} ended the association, or did not answer in time, at {name}, {progress}")
        if 0xA700 <= status <= 0xA7FF:  # out of resources: the next file would fail as well
            raise NetworkError(f"{peer} did not store {name}: status 0x{status:04X}, {progress}")
        if status in (0, DUPLICATE) or 0xB000 <= status <= 0xBFFF:
            self.stored[instance] = status
        else:
            self.refused[instance] = f"status 0x{status:04X}"


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


def _reason(error: Exception) -> str:
    accepted = "No presentation context" not in str(error)
    return (
        f"it cannot be encoded ({type(error).__name__})" if accepted else "its SOP class or transfer syntax is refused"
    )
