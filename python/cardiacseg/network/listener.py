"""The service class provider under :class:`~cardiacseg.network.receive.Receiver`: associations, C-STORE and C-ECHO."""

import logging
import ssl
import threading
from collections.abc import Callable, Collection, Hashable

from pydicom import uid
from pynetdicom import AE, AllStoragePresentationContexts, StoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_RELEASE_RQ
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from cardiacseg.errors import NetworkError
from cardiacseg.io.log_suppression import silence_network_logs
from cardiacseg.network.instances import Arrival, read_arrival
from cardiacseg.network.peer import PDU_BYTES
from cardiacseg.network.server import Server
from cardiacseg.network.slots import DEFAULT_ASSOCIATION_LIMITS, AssociationLimits, Slots

LOGGER = logging.getLogger("cardiacseg.network")
OUT_OF_RESOURCES, NO_STUDY, CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000  # PS3.4, table B.2-1
_TRANSIENT, _PRESENTATION, _LIMIT_EXCEEDED = 2, 3, 2  # PS3.8, table 9-21
_LONGEST_PDU = 1 << 20  # an association request with all contexts is smaller
# The syntaxes that the reader decodes; not Deflated, whose length is known only after unpacking it into memory.
_SYNTAXES = [
    *(uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless),
    *(uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless),
    *(uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000),
    *(uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K),
]

BROKEN = "the sender broke off the association, or the connection was lost"
SILENT = "the sender sent no image for too long and did not end the association"
NOT_UNDERSTOOD = "an image of the same association was refused"

# (received instance, association) -> code of a refusal, or nothing
Keep = Callable[[Arrival, Hashable], str]
# (association, why its instances may be incomplete, or nothing)
Ended = Callable[[Hashable, str], None]
# handles an N-EVENT-REPORT of storage commitment
OnReport = Callable[[evt.Event], tuple[int, None]]


class Listener:
    """Listens from :meth:`start` to :meth:`close`. Calls ``keep`` for each instance and ``ended`` after an association.

    The calls come from the association's threads. ``ended`` may be called more than once for one association; the first
    call counts, and it returns before the sender is told that the release was heard. Messages that are not complete lie
    in memory: if they have more than ``message_bytes`` together, the association with the largest one is aborted.
    ``port`` is the port in use, also if 0 (any free port) was given. Raises ``NetworkError`` if the port is not
    available.
    """

    def __init__(
        self,
        title: str,
        address: tuple[str, int],
        keep: Keep,
        ended: Ended,
        *,
        message_bytes: int,
        calling_titles: Collection[str] = (),
        limits: AssociationLimits = DEFAULT_ASSOCIATION_LIMITS,
        tls: ssl.SSLContext | None = None,
        on_report: OnReport | None = None,
    ):
        silence_network_logs()
        self._keep, self._ended, self._message_bytes = keep, ended, message_bytes
        self._pending: dict[Association, int] = {}
        self._released: set[Hashable] = set()
        self._not_understood: set[Hashable] = set()
        self._lock = threading.Lock()
        self._slots = Slots(limits)
        entity, handlers = _entity(title, calling_titles, limits), self._handlers()
        if on_report is not None:
            entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
            handlers.append((evt.EVT_N_EVENT_REPORT, on_report))
        extra = {"server_class": Server, "slots": self._slots, "limits": limits}
        try:
            self._server = entity.make_server(address, ssl_context=tls, evt_handlers=handlers, **extra)
        except OSError as error:
            raise NetworkError(f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}") from error
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        self._server.start()

    def close(self) -> None:
        """Close open associations and stop listening."""
        self._server.close()

    def is_alive(self) -> bool:
        return self._server.is_alive()

    def associations(self) -> int:
        """The number of open associations."""
        return self._slots.count()

    def _handlers(self) -> list:
        return [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_DATA_RECV, self._on_data),
            (evt.EVT_PDU_RECV, self._on_pdu),
            *((event, self._on_end) for event in (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)),
        ]

    def _on_store(self, event: evt.Event) -> int:
        self._slots.storing(event.assoc, 1)
        try:
            return self._stored(event)
        finally:
            self._slots.storing(event.assoc, -1)

    def _stored(self, event: evt.Event) -> int:
        with self._lock:
            self._pending[event.assoc] = 0
        try:
            arrival = read_arrival(event.encoded_dataset(), event.assoc.requestor.address)
        except Exception:  # pydicom raises many kinds of errors for damaged data
            arrival = None
        if arrival is None or not arrival.names_study:
            with self._lock:
                self._not_understood.add(event.assoc)
            return CANNOT_UNDERSTAND if arrival is None else NO_STUDY
        refusal = self._keep(arrival, event.assoc)
        if not event.assoc.is_established:  # it was aborted meanwhile, and its end may have been told already
            self._ended(event.assoc, BROKEN)
        return OUT_OF_RESOURCES if refusal else 0

    def _on_requested(self, event: evt.Event) -> None:
        if not self._slots.request(event.assoc):
            LOGGER.warning("refused an association: too many are open")
            event.assoc.acse.send_reject(_TRANSIENT, _PRESENTATION, _LIMIT_EXCEEDED)
            event.assoc.kill()  # when the answer has gone

    def _on_open(self, event: evt.Event) -> None:
        self._slots.opened(event.address, event.assoc)
        # pynetdicom would read as much as a PDU's header promises, up to 4 GiB, into memory.
        connection = event.assoc.dul.socket
        read = connection.recv

        def read_no_more_than_fits(count: int) -> bytearray:
            if count > _LONGEST_PDU:
                raise OSError("the PDU is too long")
            return read(count)

        connection.recv = read_no_more_than_fits

    def _on_data(self, event: evt.Event) -> None:
        if _is_data_set(event.data):
            self._slots.storing(event.assoc)
        with self._lock:
            self._pending[event.assoc] = self._pending.get(event.assoc, 0) + len(event.data)
            if sum(self._pending.values()) <= self._message_bytes + _LONGEST_PDU:
                return
            largest = max(self._pending, key=lambda one: self._pending[one])
            del self._pending[largest]
        threading.Thread(target=largest.abort, name="cardiacseg-abort", daemon=True).start()

    def _on_pdu(self, event: evt.Event) -> None:
        if isinstance(event.pdu, A_RELEASE_RQ):
            with self._lock:
                self._released.add(event.assoc)
                fault = NOT_UNDERSTOOD if event.assoc in self._not_understood else ""
            self._ended(event.assoc, fault)

    def _on_end(self, event: evt.Event) -> None:
        association = event.assoc
        broken = SILENT if self._slots.was_ended(association) else BROKEN
        with self._lock:
            fault = "" if association in self._released else broken
            fault = fault or (NOT_UNDERSTOOD if association in self._not_understood else "")
            self._pending.pop(association, None)
            self._released.discard(association)
            self._not_understood.discard(association)
        self._ended(association, fault)


def _is_data_set(pdu: bytes) -> bool:
    """Whether a PDU brings a part of an image, not of a command (PS3.8, annex E.2), which C-ECHO has alone."""
    return len(pdu) > 11 and pdu[0] == 4 and not pdu[11] & 1


def _entity(title: str, calling_titles: Collection[str], limits: AssociationLimits) -> AE:
    entity = AE(title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(calling_titles)
    entity.maximum_pdu_size, entity.acse_timeout = PDU_BYTES, limits.accept_s
    entity.network_timeout = max(limits.idle_s, limits.accept_s) + 10  # the slots' own limit comes first
    entity.maximum_associations = limits.associations + limits.requests + 1  # so that pynetdicom refuses none itself
    entity.add_supported_context(Verification)
    for context in (*StoragePresentationContexts, *AllStoragePresentationContexts):  # the first also has retired ones
        entity.add_supported_context(context.abstract_syntax, _SYNTAXES)
    return entity
