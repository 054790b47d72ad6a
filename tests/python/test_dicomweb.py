"""The DICOMweb client against a loopback service that answers as each test says."""

import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import requests
import trustme
from dicom_nodes import synthetic_study
from requests.adapters import HTTPAdapter
from web_service import JSON, multipart, series_json, serving

from cardiacseg.cli import main
from cardiacseg.errors import DicomError, InvalidInputError, NetworkError
from cardiacseg.network.dicomweb import client, session
from cardiacseg.network.dicomweb.client import retrieve_study, store
from cardiacseg.network.dicomweb.server import WebServer
from cardiacseg.network.dicomweb.session import WebSession

STUDY, SERIES, OTHER = "1.2.3.4567", "1.2.3.4567.1", "1.2.3.4567.2"
TOKEN = "secret-token-of-the-test"
LOCAL = "127.0.0.1:[0-9]+"
ONE = series_json((SERIES, "MR", 7, 2))


def study_service(*answers, series=ONE):
    """Answers a first query with ``series``, further ones with nothing, and retrievals with ``answers`` in order."""
    queries, retrievals = itertools.chain([series], itertools.repeat((204, {}, b""))), iter(answers)

    def answer(request):
        return next(queries) if "/series?" in request.path else next(retrievals)

    return serving(answer)


def contents(folder):
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def test_a_study_is_retrieved_with_a_token(tmp_path):
    with study_service(multipart(b"first", b"--cut\r\nsecond\r\n")) as service:
        server = service.server(token=TOKEN)
        assert retrieve_study(STUDY, server, tmp_path) == 2
    assert contents(tmp_path) == [b"first", b"--cut\r\nsecond\r\n"]
    *_, retrieval = service.requests
    assert retrieval.path == f"/dicom-web/studies/{STUDY}/series/{SERIES}"
    assert "transfer-syntax=*" in retrieval.headers["Accept"]
    assert {request.headers["Authorization"] for request in service.requests} == {f"Bearer {TOKEN}"}
    assert TOKEN not in repr(server)


@pytest.mark.parametrize(
    "broken",
    [
        (503, {"Retry-After": "0"}, b""),
        (429, {"Retry-After": "Fri, 01 Jan 2021 00:00:00 GMT"}, b""),
        (503, {"Retry-After": "soon"}, b""),
        multipart(b"first", end=b""),  # no end mark
        (*multipart()[:2], b"--cut\r\nContent-Type: application/dicom\r\n\r\nhalf"),
        (200, multipart()[1] | {"Content-Length": "2000000000"}, [multipart(b"first", b"second")[2][:-4]]),
        (200, multipart()[1] | {"Transfer-Encoding": "chunked"}, [b"8000000\r\nshort"]),
        (206, *multipart(b"first")[1:]),
    ],
)
def test_what_may_pass_is_tried_again(broken, tmp_path):
    with study_service(broken, multipart(b"first", b"second")) as service:
        assert retrieve_study(STUDY, service.server(), tmp_path) == 2
    assert contents(tmp_path) == [b"first", b"second"]
    with study_service(*[broken] * 3) as service, pytest.raises(NetworkError) as error:
        retrieve_study(STUDY, service.server(), tmp_path)
    assert len(service.requests) == 5
    assert STUDY not in str(error.value)


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "the token"), (403, "may not"), (404, "not there"), (400, "Bad Request"), (599, "unknown status")],
)
def test_what_cannot_pass_is_tried_once(status, words, tmp_path):
    with (
        serving(lambda request: (status, {}, b"patient")) as service,
        pytest.raises(NetworkError, match=words) as error,
    ):
        retrieve_study(STUDY, service.server(token=TOKEN), tmp_path)
    assert len(service.requests) == 1
    assert not any(secret in str(error.value) for secret in (TOKEN, STUDY, "patient"))


def test_a_service_that_does_not_know_every_syntax(tmp_path):
    with study_service((406, {}, b""), multipart(b"first", b"second")) as service:
        retrieve_study(STUDY, service.server(), tmp_path)
    assert service.requests[-1].headers["Accept"] == 'multipart/related; type="application/dicom"'


def test_nothing_is_held_in_memory(tmp_path):
    piece, count = bytes(1 << 20), 96
    head = multipart()[2].removesuffix(b"--cut--") + b"--cut\r\n\r\n"
    message = itertools.chain([head], itertools.repeat(piece, count), [b"\r\n--cut--"])
    with study_service((*multipart()[:2], message), series=series_json((SERIES, "MR", 7, 1))) as service:
        tracemalloc.start()
        retrieve_study(STUDY, service.server(), tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    (file,) = tmp_path.rglob("*.dcm")
    assert file.stat().st_size == count << 20
    assert peak < 16 << 20


def test_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "LIMITS", replace(client.LIMITS, file_bytes=1000))
    with study_service(multipart(b"first", bytes(1001))) as service, pytest.raises(DicomError, match="E_TOO_LARGE"):
        retrieve_study(STUDY, service.server(), tmp_path)


@pytest.mark.parametrize("headers", [JSON, multipart()[1], multipart()[1] | {"Location": "/elsewhere"}])
def test_an_answer_without_end_fills_no_memory(headers, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_ANSWER_BYTES", 4 << 20)
    endless = 302 if "Location" in headers else 200, headers, itertools.repeat(b"[" + b" " * (1 << 20), 20)
    with serving(lambda request: endless) as service, pytest.raises(NetworkError, match=f"{LOCAL}.*at most 4 MiB"):
        retrieve_study(STUDY, service.server(), tmp_path)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'[{"0020000E": {"Value": ["name"]}}]', b"[" * 100_000, b"[1]"])
def test_an_answer_that_is_not_dicom_json(body, tmp_path):
    with serving(lambda request: (200, JSON, body)) as service, pytest.raises((NetworkError, InvalidInputError)):
        retrieve_study(STUDY, service.server(), tmp_path)
    assert len(service.requests) == 1


def test_series_are_chosen(tmp_path):
    rows = [(SERIES, "MR", 7, 1), (OTHER, "MR", 8, 1), ("1.2.3.4567.3", "SEG", 9, 1)]

    def asked(wanted):
        def answer(request):
            if "/series?" not in request.path:
                return multipart(b"one")
            return series_json(rows[len(pages) - 1]) if len(pages) <= 3 else series_json(rows[0])  # ignores "offset"

        pages = []
        with serving(lambda request: (pages.append(1) if "?" in request.path else None, answer(request))[1]) as service:
            retrieve_study(STUDY, service.server(), tmp_path, wanted)
        return [request.path.rsplit("/", 1)[-1] for request in service.requests if "?" not in request.path]

    assert asked(None) == asked("g2") == [SERIES, OTHER]
    assert asked("8") == asked(OTHER) == [OTHER]
    assert asked(f"7, {OTHER}") == [SERIES, OTHER]
    with pytest.raises(InvalidInputError, match="none with this Series Instance UID"):
        asked("1.2.3.9")
    rows[:] = [(SERIES, "CT", 7, 1)] * 3
    with pytest.raises(InvalidInputError, match="none of MR"):
        asked(None)
    with pytest.raises(InvalidInputError, match="Study Instance UID"):
        retrieve_study("../admin", WebServer("http://127.0.0.1:1"), tmp_path)


def test_fewer_instances_than_said(tmp_path):
    with study_service(multipart(b"first")) as service, pytest.raises(NetworkError, match="1 of 2 instances"):
        retrieve_study(STUDY, service.server(), tmp_path)


def test_a_redirect_to_another_host_does_not_carry_the_token(tmp_path):
    with study_service(multipart(b"first", b"second")) as other:
        away = {"Location": other.url.replace("127.0.0.1", "localhost")}

        def answer(request):
            return 302, {"Location": away["Location"] + request.path.removeprefix("/dicom-web")}, b""

        with serving(answer) as service:
            retrieve_study(STUDY, service.server(token=TOKEN), tmp_path)
    assert all("Authorization" in request.headers for request in service.requests)
    assert other.requests and not any("Authorization" in request.headers for request in other.requests)


def test_redirects_that_are_refused(tmp_path):
    _, folder = synthetic_study(tmp_path)
    places = {
        "http://images.example/": "without encryption",
        "ftp://images.example/": "without encryption",
        "http://[x": "no address",
        "/dicom-web/": "in a circle",
    }
    for place, words in places.items():
        with serving(lambda request, place=place: (302, {"Location": place}, b"")) as service:
            with pytest.raises(NetworkError, match=words):
                retrieve_study(STUDY, service.server(token=TOKEN), tmp_path)
            with pytest.raises(NetworkError, match="redirects what is stored"):
                store(folder, service.server(token=TOKEN))


def test_other_hosts_do_not_see_the_client_certificate(tmp_path):
    class Redirecting(HTTPAdapter):
        def send(self, request, cert=None, **settings):
            seen.append((urlsplit(request.url).hostname, cert))
            answer = requests.Response()
            answer.status_code, answer.url, answer.request, answer.raw = 302, request.url, request, io.BytesIO()
            answer.headers["Location"] = f"https://host-{len(seen)}/"
            return answer

    seen, authority = [], trustme.CA()
    authority.issue_cert("host").private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    server = WebServer("https://Host", certificate=tmp_path / "client.pem", attempts=1)
    with WebSession(server) as web:
        web.mount("https://", Redirecting())
        with pytest.raises(NetworkError, match="circle"):
            web.again(lambda: web.ask("GET", "studies"))
    assert seen[0] == ("host", str(tmp_path / "client.pem"))
    assert {cert for host, cert in seen if host != "host"} == {None}


def test_wrong_use_of_the_commands(tmp_path):
    for words in (
        ["segment", "https://host/dicom-web", "-o", tmp_path / "out"],
        ["segment", tmp_path, "--study", STUDY, "-o", tmp_path / "out"],
        ["segment", "http://host/dicom-web", "--study", STUDY, "--list"],
        ["segment", "https://127.0.0.1:1/", "--study", STUDY, "--list", "--password-file", tmp_path],
        ["receive", "--stow", "https://a/", "--watch", "https://b/"],
        ["receive", "--stow", "https://a/", "--no-dicom"],
        ["receive", "--watch", "https://b/"],  # results would be lost
    ):
        assert main(list(map(str, words))) == 2
    assert not (tmp_path / "out").exists()


def test_a_service_that_is_not_there(capsys, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert main(["segment", "http://127.0.0.1:1/dicom-web", "--study", STUDY, "--list"]) == 5
    assert "127.0.0.1:1 cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_what_was_retrieved(number, tmp_path):
    arrived, end = threading.Event(), threading.Event()

    def slowly():
        yield multipart(b"first")[2].removesuffix(b"--cut--")
        arrived.set()
        end.wait(60)

    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    with study_service((*multipart()[:2], slowly())) as service:
        words = ["-m", "cardiacseg.cli", "segment", service.url, "--study", STUDY, "--list"]
        command = subprocess.Popen([sys.executable, *words], env=environment, stderr=subprocess.PIPE)
        assert arrived.wait(60)
        assert list((tmp_path / "temporary").glob("cardiacseg-retrieve-*"))
        command.send_signal(number)
        assert command.communicate(timeout=60)[1] == b"cardiacseg: interrupted\n"
        assert command.returncode == 130
        end.set()
    assert not list((tmp_path / "temporary").iterdir())
