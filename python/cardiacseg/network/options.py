"""Options of a receiver."""

import os
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cardiacseg.errors import InvalidInputError
from cardiacseg.network.delivery import Destination
from cardiacseg.network.destinations import CommitmentOptions
from cardiacseg.network.peer import Peer, check_title
from cardiacseg.network.slots import DEFAULT_ASSOCIATION_LIMITS, AssociationLimits
from cardiacseg.network.studies import DEFAULT_LIMITS, Limits

_COMMITMENT = CommitmentOptions()


@dataclass(frozen=True)
class ReceiverOptions:
    """The address to listen on, the accepted senders, and the destinations of the results.

    ``peer`` receives the results; ``results`` is a folder that keeps them, with a subfolder for each study;
    ``destinations`` are others; at least one must be set. A study is finished if no image arrives for ``idle_s``
    seconds, or for ``incomplete_s`` if images are known to be missing. An empty ``calling_titles`` accepts all senders.
    Results of a study that is known to be incomplete are sent only with ``send_incomplete``.

    ``spool`` keeps studies until they are delivered, by default :func:`default_spool`. Results are sent again after
    ``retry_s`` seconds, then twice that, and so on. Studies that are incomplete or fail lie aside for ``aside_days``.
    ``attempts`` is how often the segmentation of a study may begin if the receiver ends in it. ``tls`` is a server-side
    context, ``peer_tls`` the client-side one for ``peer``. ``health_port`` is that of
    :class:`~cardiacseg.network.monitoring.HealthServer`; 0 is any free one.
    """

    title: str = "CARDIACSEG"
    host: str = "127.0.0.1"
    port: int = 11112
    peer: Peer | None = None
    results: Path | None = None
    destinations: Collection[Destination] = ()
    calling_titles: Collection[str] = ()
    idle_s: float = 5.0
    incomplete_s: float = 60.0
    limits: Limits = DEFAULT_LIMITS
    association_limits: AssociationLimits = DEFAULT_ASSOCIATION_LIMITS
    spool: Path | None = None
    retry_s: float = 5.0
    aside_days: float = 7.0
    attempts: int = 5
    tls: ssl.SSLContext | None = None
    peer_tls: ssl.SSLContext | None = None
    commitment: CommitmentOptions = _COMMITMENT
    send_incomplete: bool = False
    health_port: int | None = None

    def __post_init__(self):
        check_title(self.title)
        if self.peer is None and self.results is None and not self.destinations:
            raise InvalidInputError(
                "results would be lost; expected a peer to send them to, a folder to keep them, or both"
            )
        if not self.idle_s > 0:
            raise InvalidInputError(f"idle_s is {self.idle_s}; expected a positive number of seconds")


def default_spool(port: int) -> Path:
    """``cardiacseg/receive-PORT`` in the folder for the state of the user's programs."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state) / "cardiacseg" / f"receive-{port}"
