"""A DICOM node: its address, and the associations that this program requests from it."""

import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from cardiacseg.errors import InvalidInputError, NetworkError
from cardiacseg.network.tls import handshake_fault

PDU_BYTES = 131072
_TRANSIENT = 2  # result of an A-ASSOCIATE-RJ
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


class BrokenOffError(NetworkError):
    """An association that ended, an answer that did not come, or a peer that is busy: worth another attempt."""


class NotOfferedError(NetworkError):
    """A peer that accepts none of the presentation contexts."""


class Requestor:
    """Requests associations from ``peer``; ``timeout``, in seconds, applies to the connection and to each answer."""

    def __init__(self, peer: Peer, calling: str, timeout: float, tls: ssl.SSLContext | None = None):
        self.peer = peer
        self._encryption = (tls, peer.host) if tls else None
        self._entity = AE(calling)
        self._entity.maximum_pdu_size = PDU_BYTES
        self._entity.connection_timeout = self._entity.acse_timeout = timeout
        self._entity.dimse_timeout = self._entity.network_timeout = timeout

    @contextmanager
    def associate(
        self,
        contexts: Sequence[PresentationContext],
        handlers: Sequence[tuple[evt.EventType, Callable]] = (),
        again: bool = False,
    ) -> Iterator[Association]:
        """An established association, which is released at the end of the block, and aborted if that raises.

        Raises ``NetworkError`` if there is none: ``BrokenOffError`` if another attempt may help, because the peer is
        busy, or cannot be reached ``again``; ``NotOfferedError`` if it accepts none of ``contexts``.
        """
        peer = self.peer
        try:
            association = self._entity.associate(
                peer.host, peer.port, contexts, peer.title, tls_args=self._encryption, evt_handlers=list(handlers)
            )
        except OSError as error:
            raise _unreachable(f"{peer} cannot be reached: {error.strerror or error}", again) from error
        if not association.is_established:
            raise self._why_not(association, again)
        try:
            yield association
            association.release()
        finally:
            if association.is_established:
                association.abort()

    def _why_not(self, association: Association, again: bool) -> NetworkError:
        peer, answer = self.peer, association.acceptor.primitive
        if association.is_rejected:
            reason = f"{answer.reason_str.lower()} ({answer.result_str.lower()})"
            return _unreachable(f"{peer} refused the association: {reason}", answer.result == _TRANSIENT)
        if association.is_aborted and answer is not None:
            return NotOfferedError(f"{peer} accepted none of the offered SOP classes and transfer syntaxes")
        fault = self._encryption and handshake_fault(self._encryption[0], peer.host, peer.port)
        if fault:  # pynetdicom does not tell
            return NetworkError(f"{peer}: no TLS connection: {fault}")
        return _unreachable(f"{peer} cannot be reached, or does not answer as a DICOM node", again)


def _unreachable(sentence: str, again: bool) -> NetworkError:
    return BrokenOffError(sentence) if again else NetworkError(sentence)
