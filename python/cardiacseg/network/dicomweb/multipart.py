"""Messages of type multipart/related (RFC 2387), read and written in pieces: memory does not grow with their parts."""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from email.message import Message
from pathlib import Path

from cardiacseg.network.dicomweb.session import TruncatedError

PIECE_BYTES = 1 << 20
_HEADER_BYTES = 1 << 14


def boundary_of(content_type: str) -> bytes | None:
    """The boundary that a Content-Type names; ``None`` if it is not multipart/related, or has none."""
    header = Message()
    header["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/related" or not boundary:
        return None
    return boundary.encode("ascii", "replace")


class Parts:
    """The parts of a message, each as an iterator of pieces that must be exhausted before the next part.

    Raises ``TruncatedError`` if the message ends before its last boundary.
    """

    def __init__(self, pieces: Iterable[bytes], boundary: bytes):
        self._pieces, self._held = iter(pieces), bytearray(b"\r\n")
        self._delimiter = b"\r\n--" + boundary

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        for _ in self._until(self._delimiter):
            pass  # a preamble has no meaning
        while not self._ends():
            size = 0
            for piece in self._until(b"\r\n\r\n"):
                size += len(piece)
                if size > _HEADER_BYTES:
                    raise TruncatedError
            yield self._until(self._delimiter)

    def _ends(self) -> bool:
        while len(self._held) < 2:
            self._more()
        return self._held[:2] == b"--"

    def _until(self, mark: bytes) -> Iterator[bytes]:
        """The bytes before ``mark``; the mark itself is consumed."""
        while (place := self._held.find(mark)) < 0:
            sure = len(self._held) - len(mark) + 1  # the mark may begin after these
            if sure > 0:
                yield bytes(self._held[:sure])
                del self._held[:sure]
            self._more()
        yield bytes(self._held[:place])
        del self._held[: place + len(mark)]

    def _more(self) -> None:
        piece = next(self._pieces, b"")
        if not piece:
            raise TruncatedError
        self._held += piece


class FilesMessage:
    """A message whose parts are files, unchanged. ``len()`` is its size; it can be iterated again."""

    def __init__(self, paths: Sequence[Path], part_type: str):
        boundary = secrets.token_hex(16)
        self.content_type = f'multipart/related; type="{part_type}"; boundary={boundary}'
        self._paths = paths
        self._before = f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode("ascii")
        self._end = f"--{boundary}--\r\n".encode("ascii")
        self._sizes = [os.path.getsize(path) for path in paths]

    def __len__(self) -> int:
        return sum(len(self._before) + size + 2 for size in self._sizes) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        for path, size in zip(self._paths, self._sizes, strict=True):
            yield self._before
            with open(path, "rb") as file:
                while size and (piece := file.read(min(size, PIECE_BYTES))):
                    size -= len(piece)
                    yield piece
            if size:
                raise OSError(f"{path.name} became shorter while it was sent")
            yield b"\r\n"
        yield self._end
