"""Mutual TLS between a sender and the receiver, and the options of the command line that lead to it."""

import socket
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
import trustme
from dicom_nodes import (
    WAIT_S,
    Archive,
    Threshold,
    archive_node,
    in_spool,
    receiving,
    storescu,
    synthetic_study,
    wait_until,
)

from cardiacseg.cli.parser import build_parser
from cardiacseg.cli.receive import receiver_options, tls_files
from cardiacseg.errors import InvalidInputError, NetworkError
from cardiacseg.network.peer import Peer
from cardiacseg.network.send import send
from cardiacseg.network.tls import TlsFiles


def openssl(*words):
    if subprocess.run(["openssl", *map(str, words)], capture_output=True).returncode:
        pytest.skip("openssl could not make a certificate")


def signed(folder, name, authority):
    """A key and a certificate for 127.0.0.1 that an authority has signed."""
    key, request, certificate = (folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    words = ["x509", "-req", "-in", request, "-days", "2", "-extfile", folder / "names", "-out", certificate]
    openssl(*words, "-CA", authority[0], "-CAkey", authority[1], "-CAcreateserial")
    return TlsFiles(certificate, key, authority[0])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Those of a receiver and of a sender of one authority, and of a stranger, who is of another one."""
    folder = tmp_path_factory.mktemp("tls")
    authorities = []
    for name in ("ca", "other"):
        authorities.append((folder / f"{name}.pem", folder / f"{name}.key"))
        words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
        openssl(*words, f"/CN={name}", "-keyout", authorities[-1][1], "-out", authorities[-1][0])
    receiver, sender = (signed(folder, name, authorities[0]) for name in ("receiver", "sender"))
    stranger = signed(folder, "stranger", authorities[1])
    return receiver, sender, TlsFiles(stranger.certificate, stranger.key, receiver.authority)


def test_only_whom_the_authority_knows_may_send_and_is_sent_to(tmp_path, files):
    receiver, sender, stranger = files
    segment, archive, (_, folder) = Threshold(), Archive(), synthetic_study(tmp_path)
    encrypted = {"tls": receiver.server_context(), "peer_tls": receiver.client_context()}
    with (
        archive_node(archive, tls=sender.server_context()) as peer,
        receiving(segment, tmp_path, peer=peer, **encrypted) as node,
    ):
        for context, words in [
            (None, "cannot be reached"),
            (stranger.client_context(), "no TLS connection: .*UNKNOWN_CA"),
            (TlsFiles(authority=sender.authority).client_context(), "no TLS connection: .*CERTIFICATE_REQUIRED"),
            (TlsFiles(authority=stranger.certificate).client_context(), "no TLS connection: .*certificate"),
        ]:
            with pytest.raises(NetworkError, match=words):
                send(folder, node, tls=context, timeout=5)
        assert send(folder, node, tls=sender.client_context()).sent == 4
        wait_until(lambda: segment.studies and not in_spool(tmp_path))
    assert len(archive.stored) == 4


def test_a_certificate_that_has_expired(tmp_path):
    authority = trustme.CA()
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    expired = authority.issue_cert("127.0.0.1", not_before=past - timedelta(9), not_after=past)
    expired.private_key_and_cert_chain_pem.write_to_path(tmp_path / "old.pem")
    files = TlsFiles(tmp_path / "old.pem", tmp_path / "old.pem", tmp_path / "ca.pem")
    with archive_node(Archive(), tls=files.server_context()) as peer, pytest.raises(NetworkError, match="has expired"):
        send(synthetic_study(tmp_path)[1], peer, tls=files.client_context())


def test_storescu_with_a_certificate_and_without(tmp_path, files):
    receiver, sender, _ = files
    segment, (_, folder) = Threshold(), synthetic_study(tmp_path)
    with receiving(segment, tmp_path, tls=receiver.server_context()) as node:
        assert storescu(node, folder, "+tla", "-ic").returncode != 0
        sent = storescu(node, folder, "+tls", sender.key, sender.certificate, "+cf", sender.authority)
        assert sent.returncode == 0, sent.stderr
        assert segment.called.acquire(timeout=WAIT_S)
    assert len(segment.studies[0]) == 4


def test_a_client_that_begins_no_handshake_keeps_nobody_out(tmp_path, files):
    receiver, sender, _ = files
    segment, (_, folder) = Threshold(), synthetic_study(tmp_path)
    with (
        receiving(segment, tmp_path, tls=receiver.server_context()) as node,
        socket.create_connection((node.host, node.port)),
        socket.create_connection((node.host, node.port)) as half,
    ):
        half.sendall(b"\x16\x03\x01")
        assert send(folder, node, tls=sender.client_context()).sent == 4
        assert segment.called.acquire(timeout=WAIT_S)


def test_files_that_do_not_fit(tmp_path, files):
    receiver, sender, _ = files
    text = tmp_path / "text"
    text.write_text("no certificate")
    for wrong, words in [
        (TlsFiles(receiver.certificate), "expected a certificate with its key"),
        (TlsFiles(receiver.certificate, sender.key), "belong together"),
        (TlsFiles(text, receiver.key), "in PEM format"),
        (TlsFiles(receiver.certificate, tmp_path / "absent"), "No such file"),
        (TlsFiles(receiver.certificate, receiver.key, text), "expected certificates in PEM format"),
        (TlsFiles(authority=receiver.authority), "a listener with TLS needs a certificate"),
    ]:
        with pytest.raises(InvalidInputError, match=words):
            wrong.server_context()
    locked = tmp_path / "locked.key"
    openssl("rsa", "-aes256", "-passout", "pass:secret", "-in", receiver.key, "-out", locked)
    with pytest.raises(InvalidInputError, match="the key has a password"):
        TlsFiles(receiver.certificate, locked).client_context()


def receive_arguments(*words):
    return receiver_options(build_parser().parse_args(["receive", "-o", "out", *map(str, words)]))


def test_the_command_line(files):
    receiver, _, _ = files
    own = ("--tls-cert", receiver.certificate, "--tls-key", receiver.key, "--tls-ca", receiver.authority)
    options = receive_arguments()
    assert (options.tls, options.peer_tls, options.health_port, options.spool) == (None, None, None, None)
    assert (options.limits.open_studies, options.limits.host_studies, options.limits.free_bytes) == (32, 16, 1 << 30)
    options = receive_arguments(*own, "--to", "PACS@127.0.0.1:104", "--max-associations", 5, "--commit", "require")
    assert options.tls and not options.peer_tls and options.peer == Peer("PACS", "127.0.0.1", 104)
    assert (options.association_limits.associations, options.association_limits.host_associations) == (5, 3)
    assert options.commitment.mode == "require"
    options = receive_arguments("--tls-ca", receiver.authority, "--to-tls", "--to", "PACS@127.0.0.1:104")
    assert options.peer_tls and not options.tls
    with pytest.raises(InvalidInputError, match="a listener with TLS needs a certificate"):
        receive_arguments("--tls-ca", receiver.authority)
    parsed = build_parser().parse_args(["send", "x", "--to", "PACS@127.0.0.1:104", *map(str, own)])
    assert tls_files(parsed) == receiver
