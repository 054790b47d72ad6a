"""Storing by DICOMweb, and how to authenticate, against a loopback service that answers as each test says."""

import pydicom
import pytest
import trustme
from dicom_nodes import captured_log, synthetic_study
from web_service import JSON, serving, stow_json

from cardiacseg.cli import main
from cardiacseg.cli.parser import build_parser
from cardiacseg.cli.web import web_server
from cardiacseg.errors import InvalidInputError, NetworkError
from cardiacseg.network.dicomweb import client
from cardiacseg.network.dicomweb.client import store
from cardiacseg.network.dicomweb.multipart import Parts, boundary_of
from cardiacseg.network.dicomweb.server import WebServer

TOKEN = "secret-token-of-the-test"


def test_stored_files_arrive_unchanged(tmp_path, monkeypatch):
    made, folder = synthetic_study(tmp_path)
    files = sorted(folder.iterdir())
    monkeypatch.setattr(client, "_REQUEST_BYTES", 2 * files[0].stat().st_size + 10)
    with serving(lambda request: stow_json()) as service, captured_log() as log:  # an empty sequence: none failed
        report = store([folder], service.server(user="me", password="pä:ss"))
    assert (report.sent, report.associations, report.warnings) == (4, 2, ())
    parts = [
        b"".join(part)
        for request in service.requests
        for part in Parts([request.body], boundary_of(request.headers["Content-Type"]))
    ]
    assert parts == [path.read_bytes() for path in files]
    assert {request.path for request in service.requests} == {"/dicom-web/studies"}
    assert service.requests[0].headers["Authorization"] == "Basic bWU6cMOkOnNz"
    secrets = ("pä:ss", "Basic", made.datasets[0].StudyInstanceUID, made.datasets[0].SOPInstanceUID)
    assert log.lines and not any(secret in line for line in log.lines for secret in secrets)


def test_what_was_stored_before_a_failure_is_named(tmp_path, monkeypatch):
    _, folder = synthetic_study(tmp_path)
    files = sorted(folder.iterdir())
    monkeypatch.setattr(client, "_REQUEST_BYTES", 1)
    answers = iter([stow_json(), stow_json(), (403, {}, b"")])
    with serving(lambda request: next(answers)) as service, pytest.raises(NetworkError, match="403") as error:
        store(files, service.server())
    assert error.value.stored == tuple(path.name for path in files[:2])


def test_a_service_that_takes_small_requests(tmp_path):
    _, folder = synthetic_study(tmp_path)
    files = sorted(folder.iterdir())
    limit = 3 * files[0].stat().st_size  # two files with their headers

    def answer(request):
        return (413, {}, b"") if len(request.body) > limit else stow_json()

    with serving(answer) as service:
        report = store(folder, service.server())
    assert (report.sent, report.associations, len(service.requests)) == (4, 2, 3)
    limit = 10
    with serving(answer) as service, pytest.raises(NetworkError, match=r"413 .*; it, or a proxy .* limits the size"):
        store(folder, service.server())


def uids_and_names(folder):
    return {pydicom.dcmread(path).SOPInstanceUID: path.name for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("status", [200, 202, 409])
def test_files_that_are_not_stored_are_named(status, tmp_path):
    _, folder = synthetic_study(tmp_path)
    (bad, name), *good = uids_and_names(folder).items()
    content_type = {"Content-Type": "application/dicom+json; charset=utf-8"}
    stored = [] if status == 409 else [uid for uid, _ in good]
    answer = stow_json(stored, [(bad, 0xA700)], status, **content_type)
    with serving(lambda request: answer) as service, pytest.raises(NetworkError) as error:
        store(folder, service.server())
    assert f"stored {len(stored)} of 4 files; it did not store {name} (reason 0xA700)" in str(error.value)
    assert error.value.stored == tuple(name for uid, name in good if uid in stored)
    assert len(service.requests) == 1 and bad not in str(error.value)


def test_warnings_and_files_that_the_answer_leaves_out(tmp_path):
    _, folder = synthetic_study(tmp_path)
    (changed, name), *others = uids_and_names(folder).items()
    said = [(changed, 0xB000), *(uid for uid, _ in others)]
    with serving(lambda request: stow_json(said)) as service:
        assert store(folder, service.server()).warnings == ((name, 0xB000),)
    for answer in (stow_json(said[:-1]), stow_json(failed=[(changed, 0xA700)], status=202)):
        with serving(lambda request, answer=answer: answer) as service, pytest.raises(NetworkError) as error:
            store(folder, service.server())
        assert "not confirmed" in str(error.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((202, {"Content-Type": "text/html"}, b"<p>"), "does not say which of 4 files"),
        ((200, {"Content-Type": "text/html"}, b"<p>please log in"), "does not say which of 4 files"),
        ((200, {}, b"<p>"), "does not say which of 4 files"),
        ((202, JSON, b"{}"), "does not say which of 4 files"),
        (stow_json(status=202), "does not say which of 4 files"),
        ((409, {}, b""), "stored 0 of 4"),
        ((409, JSON, b"{}"), "stored 0 of 4"),
        (
            (202, JSON, b'{"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [1, 2]}}]}}'),
            "does not say",
        ),
        ((202, JSON, b'{"00081198": {"vr": "LO", "Value": ["all"]}}'), "does not say"),
        (stow_json(status=409), "stored 0 of 4"),
        ((500, {}, b""), "500"),
        ((413, {}, b""), "413"),
    ],
)
def test_an_answer_to_stow_that_confirms_nothing(answer, words, tmp_path):
    _, folder = synthetic_study(tmp_path)
    with serving(lambda request: answer) as service, pytest.raises(NetworkError, match=words):
        store(folder, service.server())


@pytest.mark.parametrize("answer", [({"Content-Type": "application/dicom+xml"}, b"<x/>"), (JSON, b"{}"), ({}, b"")])
def test_a_plain_yes_is_enough(answer, tmp_path):
    _, folder = synthetic_study(tmp_path)
    with serving(lambda request: (200, *answer)) as service:
        assert store(folder, service.server()).sent == 4


@pytest.mark.parametrize("reason", [0x0111, 0xB00E])
def test_what_the_service_has_already_is_stored(reason, tmp_path):
    """A file whose answer was lost is sent again; some services then refuse it."""
    _, folder = synthetic_study(tmp_path)
    (twice, name), *others = uids_and_names(folder).items()
    with serving(lambda request: stow_json([uid for uid, _ in others], [(twice, reason)], 202)) as service:
        report = store(folder, service.server())
    assert (report.sent, report.warnings) == (4, ((name, reason),))
    with serving(lambda request: stow_json(failed=[(twice, reason)], status=409)) as service:
        assert store(folder / name, service.server()).sent == 1
        with pytest.raises(NetworkError, match="stored 1 of 4"):
            store(folder, service.server())


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("https://me:password@host/", {}),
        ("https://host/?token=abc", {}),
        ("ftp://host/", {}),
        ("https://", {}),
        ("https://host:99999/", {}),
        ("http://host/dicom-web", {}),
        ("http://127.0.0.1.example/", {}),
        ("https://host/", {"token": "a\r\nX: y"}),
        ("https://host/", {"token": "a", "user": "me", "password": "b"}),
        ("https://host/", {"user": "me"}),
        ("https://host/", {"ca": "absent.pem"}),
        ("https://host/", {"key": "key.pem"}),
        ("https://host/", {"ca": "text.pem"}),
        ("https://host/", {"certificate": "ca.pem", "key": "text.pem"}),
    ],
)
def test_addresses_and_credentials_that_are_refused(url, options, tmp_path):
    (tmp_path / "text.pem").write_text("no certificate")
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    files = {name: tmp_path / value for name, value in options.items() if value.endswith(".pem")}
    with pytest.raises(InvalidInputError, match="expected") as error:
        WebServer(url, **{**options, **files})
    assert "password@" not in str(error.value) and "abc" not in str(error.value)


def test_plain_http_is_accepted_on_this_computer_or_if_asked_for():
    for url in ("http://localhost:1/", "http://[::1]:1/x", "http://127.8.0.1/"):
        WebServer(url)
    WebServer("http://host/", allow_http=True)


def test_secrets_come_from_files_or_the_environment(tmp_path, monkeypatch, capsys):
    _, folder = synthetic_study(tmp_path)
    (tmp_path / "token").write_text(f" {TOKEN}\n")
    (tmp_path / "password").write_text("word\n")
    with serving(lambda request: stow_json()) as service:
        send = ["send", str(folder), "--stow", service.url]
        assert main([*send, "--token-file", str(tmp_path / "token")]) == 0
        assert main([*send, "--user", "me", "--password-file", str(tmp_path / "password")]) == 0
        monkeypatch.setenv("CARDIACSEG_DICOMWEB_TOKEN", "other")
        assert main(send) == 0
        assert main([*send, "--user", "me"]) == 2  # no password
        assert main([*send, "--token-file", str(tmp_path / "absent")]) == 2
    headers = [request.headers["Authorization"] for request in service.requests]
    assert headers == [f"Bearer {TOKEN}", "Basic bWU6d29yZA==", "Bearer other"]
    assert "sent 4 files" in capsys.readouterr().out


def test_a_token_may_be_renewed(tmp_path):
    _, folder = synthetic_study(tmp_path)
    file = tmp_path / "token"
    file.write_text("first")
    options = build_parser().parse_args(["send", "x", "--stow", "http://127.0.0.1", "--token-file", str(file)])
    with serving(lambda request: stow_json()) as service:
        server = web_server(options, service.url)
        store(folder, server)
        file.write_text("second")
        store(folder, server)
        file.write_text("")  # it is being written
        with pytest.raises(NetworkError, match="is empty"):
            store(folder, server)
    assert [request.headers["Authorization"] for request in service.requests] == ["Bearer first", "Bearer second"]
