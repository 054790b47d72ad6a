"""Limits of associations: how many, from one host, and for how long. An idle one gives way to a new one."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pynetdicom.association import Association

_GIVES_WAY_S = 5.0  # without an image, after which an association may be ended for a new one
_ABORT_S = 2.0  # for an abort to end the connection


@dataclass(frozen=True)
class AssociationLimits:
    """At most ``associations``, ``host_associations`` of them from one host; ``requests`` may be in negotiation.

    ``silent`` connections may wait without having sent a byte; the oldest makes room for a new one. A connection must
    become an association within ``accept_s`` seconds. An association ends after ``idle_s`` seconds without data of an
    image, whatever else it sends, and after ``longest_s`` seconds in any case.
    """

    associations: int = 32
    host_associations: int = 16
    requests: int = 16
    silent: int = 64
    accept_s: float = 10.0
    idle_s: float = 60.0
    longest_s: float = 4 * 3600.0


DEFAULT_ASSOCIATION_LIMITS = AssociationLimits()


@dataclass(eq=False)
class _Slot:
    host: str
    connection: socket.socket
    since: float
    active: float
    association: Association | None = None
    requested: bool = False
    storing: int = 0
    ending: float = 0.0

    def is_over(self) -> bool:
        """Whether its threads have ended."""
        association = self.association
        return association is not None and association.ident is not None and not association.is_alive()


class Slots:
    """The connections that have threads. Thread-safe."""

    def __init__(self, limits: AssociationLimits, clock: Callable[[], float] = time.monotonic):
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._slots: dict[object, _Slot] = {}

    def take(self, address: tuple, connection: socket.socket) -> bool:
        """Whether a connection that has sent something may have threads. The oldest that asks gives way."""
        limits, now = self._limits, self._clock()
        with self._lock:
            slots = self._alive()
            if len(slots) >= limits.associations + 2 * limits.requests:
                return False
            asking = [slot for slot in slots if not slot.requested and not slot.ending]
            if len(asking) >= limits.requests:
                self._disconnect(min(asking, key=lambda slot: slot.since))
            self._slots[address] = _Slot(address[0], connection, now, now)
            return True

    def leave(self, address: tuple) -> None:
        """The connection ended before it had an association."""
        with self._lock:
            self._slots.pop(address, None)

    def opened(self, address: tuple, association: Association) -> None:
        """The connection has its association, which is not yet negotiated."""
        with self._lock:
            slot = self._slots.get(address)
            if slot is not None:
                slot.association = association

    def request(self, association: Association) -> bool:
        """Whether an association that is asked for has room, perhaps because an idle one makes room."""
        with self._lock:
            slot = self._of(association)
            if slot is None:
                return False
            others = [one for one in self._alive() if one.requested and not one.ending]
            same = [one for one in others if one.host == slot.host]
            room = len(others) < self._limits.associations and len(same) < self._limits.host_associations
            if not room:
                crowded = same if len(same) >= self._limits.host_associations else others
                room = self._end_idle(crowded)
            slot.requested, slot.active = room, self._clock()
            return room

    def storing(self, association: Association, change: int = 0) -> None:
        """An image is arriving; ``change`` is 1 when its handling begins and -1 when it ends."""
        with self._lock:
            slot = self._of(association)
            if slot is not None:
                slot.active = self._clock()
                slot.storing += change

    def sweep(self) -> None:
        """End what has lasted too long."""
        now, limits = self._clock(), self._limits
        with self._lock:
            for slot in self._alive():
                if slot.ending and now - slot.ending > _ABORT_S:
                    self._disconnect(slot)
                elif not slot.requested:
                    if now - slot.since > limits.accept_s:
                        self._disconnect(slot)
                elif (now - slot.active > limits.idle_s and not slot.storing) or now - slot.since > limits.longest_s:
                    self._end(slot)

    def was_ended(self, association: Association) -> bool:
        """Whether this program ended it because of its limits."""
        with self._lock:
            slot = self._of(association)
            return slot is not None and bool(slot.ending)

    def count(self) -> int:
        """The number of associations."""
        with self._lock:
            return sum(slot.requested for slot in self._alive())

    def _of(self, association: Association) -> _Slot | None:
        return next((slot for slot in self._slots.values() if slot.association is association), None)

    def _alive(self) -> list[_Slot]:
        self._slots = {address: slot for address, slot in self._slots.items() if not slot.is_over()}
        return list(self._slots.values())

    def _end_idle(self, slots: list[_Slot]) -> bool:
        idle = [slot for slot in slots if self._clock() - slot.active > _GIVES_WAY_S and not slot.storing]
        if idle:
            self._end(min(idle, key=lambda slot: slot.active))
        return bool(idle)

    def _disconnect(self, slot: _Slot) -> None:
        slot.ending = slot.ending or self._clock()
        with suppress(OSError):  # it is closed already
            slot.connection.shutdown(socket.SHUT_RDWR)

    def _end(self, slot: _Slot) -> None:
        if not slot.ending:
            slot.ending = self._clock()
            threading.Thread(target=slot.association.abort, name="cardiacseg-abort", daemon=True).start()
