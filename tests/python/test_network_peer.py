"""Nodes as text."""

import pytest

from cardiacseg.errors import InvalidInputError
from cardiacseg.network.peer import Peer


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("PACS@127.0.0.1:104", Peer("PACS", "127.0.0.1", 104)),
        (" MY PACS@archive.example:11112 ", Peer("MY PACS", "archive.example", 11112)),
        ("PACS@[::1]:4242", Peer("PACS", "::1", 4242)),
    ],
)
def test_peer_as_text(text, peer):
    assert Peer.parse(text) == peer
    assert Peer.parse(str(peer)) == peer


@pytest.mark.parametrize(
    "text",
    [
        *("", "PACS", "PACS@host", "@host:104", "PACS@:104", "PACS@host:0", "PACS@host:70000", "PACS@host:1o4"),
        *(
            "A\\B@host:104",
            "SEVENTEEN LETTERS@host:104",
            "   @host:104",
            "PÄCS@host:104",
            "PACS@::1:104",
            "A\n@host:104",
        ),
    ],
)
def test_what_is_no_peer(text):
    with pytest.raises(InvalidInputError):
        Peer.parse(text)
