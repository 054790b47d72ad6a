"""The address of a DICOM node."""

import re
from dataclasses import dataclass

from cardiacseg.errors import InvalidInputError

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
