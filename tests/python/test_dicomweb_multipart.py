"""Multipart messages in pieces of any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_service import multipart

from cardiacseg.network.dicomweb.multipart import FilesMessage, Parts, boundary_of
from cardiacseg.network.dicomweb.session import TruncatedError


@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(1, 50), st.booleans())
def test_parts_do_not_depend_on_the_pieces(parts, size, preamble):
    message = (b"preamble\r\n" if preamble else b"") + multipart(*parts)[2] + b"\r\nepilogue"
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    assert [b"".join(part) for part in Parts(pieces, b"cut")] == parts
    with pytest.raises(TruncatedError):
        list(map(b"".join, Parts([message.rpartition(b"--cut--")[0]], b"cut")))


def test_a_header_without_end():
    with pytest.raises(TruncatedError):
        list(Parts([b"--cut\r\n", *[b"x" * 1000] * 40], b"cut"))


def test_boundaries():
    assert boundary_of('Multipart/Related; type="application/dicom"; boundary="a b"') == b"a b"
    assert boundary_of("multipart/related; start=x") is None
    assert boundary_of("application/dicom; boundary=a") is None


def test_a_file_that_shrinks_while_it_is_sent(tmp_path):
    (tmp_path / "file").write_bytes(bytes(100))
    message = FilesMessage([tmp_path / "file"], "application/dicom")
    assert len(message) == sum(map(len, message))
    (tmp_path / "file").write_bytes(bytes(50))
    with pytest.raises(OSError, match="shorter"):
        list(message)
