"""Watching a DICOMweb service for studies."""

import contextlib
import re
import stat
import threading
from datetime import date, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from dicom_nodes import captured_log
from web_service import JSON, multipart, series_json, serving

from cardiacseg.errors import DicomError, InvalidInputError, NetworkError, OutputError
from cardiacseg.network.dicomweb.watch import StudyWatch

ONE, TWO = "1.2.3.1", "1.2.3.2"


class Archive:
    """Studies by UID, each with its series: UID, modality, number, instances."""

    def __init__(self):
        self.studies = {}
        self.queries = []
        self.fault = None

    def __call__(self, request):
        if self.fault:
            return self.fault
        address = urlsplit(request.path)
        if address.query and int(parse_qs(address.query)["offset"][0]):
            return 204, {}, b""
        series = re.search(r"/studies/([0-9.]+)/series(/[0-9.]+)?", address.path)
        if series is None:
            self.queries.append(parse_qs(address.query))
            rows = [{"0020000D": {"Value": [study]}} for study in self.studies]
            return 200, JSON, str(rows).replace("'", '"').encode()
        if series[2] is None:
            return series_json(*self.studies[series[1]])
        (count,) = [row[3] for row in self.studies[series[1]] if row[0] == series[2][1:]]
        return multipart(*[series[2].encode()] * count)


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def service(archive):
    with serving(archive) as running:
        yield running


class Taken:
    """Takes studies, or raises ``error``."""

    def __init__(self):
        self.studies, self.error, self.called = [], None, threading.Event()

    def __call__(self, folder):
        self.studies.append(sorted(path.read_bytes().decode()[1:] for path in folder.rglob("*.dcm")))
        self.called.set()
        if self.error:
            raise self.error


@pytest.fixture
def taken():
    return Taken()


@pytest.fixture
def watch(service, taken, tmp_path):
    return StudyWatch(service.server(attempts=1), tmp_path / "seen.json", taken, query={"StudyDescription": "*heart*"})


def test_a_study_is_taken_once_it_has_settled(archive, watch, taken):
    assert watch.look() == 0
    archive.studies[ONE] = [(f"{ONE}.1", "MR", 1, 1)]
    assert watch.look() == 0
    archive.studies[ONE] = [(f"{ONE}.1", "MR", 1, 2)]  # still arriving
    assert watch.look() == 0
    assert watch.look() == 1
    assert taken.studies == [[f"{ONE}.1"] * 2]
    archive.studies[ONE] += [(f"{ONE}.9", "SEG", 9000, 1)]  # our own result
    assert [watch.look() for _ in range(3)] == [0, 0, 0]
    archive.studies[ONE] += [(f"{ONE}.2", "MR", 2, 1)]
    assert [watch.look() for _ in range(3)] == [0, 1, 0]
    assert taken.studies[1] == [f"{ONE}.1", f"{ONE}.1", f"{ONE}.2"]


def test_the_query(archive, watch):
    watch.look()
    today = date.today()
    (query,) = archive.queries
    assert query["ModalitiesInStudy"] == ["MR"]
    assert query["StudyDescription"] == ["*heart*"]
    assert query["StudyDate"] == [f"{today - timedelta(1):%Y%m%d}-{today:%Y%m%d}"]


def test_a_restart_takes_nothing_twice(archive, watch, service, taken, tmp_path):
    archive.studies[ONE] = [(f"{ONE}.1", "MR", 1, 1)]
    assert [watch.look(), watch.look()] == [0, 1]
    again = StudyWatch(service.server(), tmp_path / "seen.json", taken)
    archive.studies[TWO] = [(f"{TWO}.1", "MR", 1, 1)]
    assert [again.look(), again.look()] == [0, 1]
    assert taken.studies == [[f"{ONE}.1"], [f"{TWO}.1"]]
    assert ONE not in (tmp_path / "seen.json").read_text()
    assert stat.S_IMODE((tmp_path / "seen.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (OutputError("E_NO_SPACE: /path"), [0, 1, 2, 3, 4, 5]),  # at each query
        (NetworkError("no answer"), [0, 1, 2, 2, 3, 3]),
        (KeyError("what is no error of ours"), [0, 1, 2, 2, 3, 3]),
    ],
)
def test_what_is_not_taken_is_offered_again(error, tries, archive, watch, taken):
    archive.studies[ONE] = [(f"{ONE}.1", "MR", 1, 1)]
    taken.error = error
    with captured_log() as log:
        for count in tries:
            with contextlib.suppress(OutputError):
                assert watch.look() == 0
            assert len(taken.studies) == count
    assert not any(secret in line for line in log.lines for secret in (ONE, "/path"))
    taken.error = None
    assert sum(watch.look() for _ in range(5)) == 1


@pytest.mark.parametrize(("error", "others"), [(OutputError("E_TOO_MANY_STUDIES: no"), 0), (NetworkError("no"), 1)])
def test_a_spool_without_room_ends_the_round(error, others, archive, watch, taken):
    for study in (ONE, TWO):
        archive.studies[study] = [(f"{study}.1", "MR", 1, 1)]
    taken.error = error
    for _ in range(2):
        with contextlib.suppress(OutputError):
            watch.look()
    assert len(taken.studies) == 1 + others


def test_a_killed_watch_leaves_no_images(archive, watch, service, taken, tmp_path):
    archive.studies[ONE] = [(f"{ONE}.1", "MR", 1, 1)]
    places = []
    watch._take = lambda folder: places.append(folder)
    assert [watch.look(), watch.look()] == [0, 1]
    (place,) = places
    assert not place.exists() and place.parent == tmp_path
    place.mkdir()
    (place / "left.dcm").write_bytes(b"patient")
    with StudyWatch(service.server(), tmp_path / "seen.json", taken, interval_s=60):
        assert not place.exists()


@pytest.mark.parametrize("error", [DicomError("E_TOO_LARGE", "expected less"), InvalidInputError("no DICOM file")])
def test_what_can_never_be_taken_is_not_offered_again(error, archive, watch, taken):
    archive.studies[ONE] = [(f"{ONE}.1", "MR", 1, 1)]
    taken.error = error
    assert [watch.look() for _ in range(4)] == [0, 1, 0, 0]
    assert len(taken.studies) == 1


def test_the_thread_goes_on_after_a_fault(archive, service, taken, tmp_path):
    archive.studies[ONE] = [(f"{ONE}.1", "MR", 1, 1)]
    archive.fault = 500, {}, b""
    failures = threading.Semaphore(0)
    server, times = service.server(attempts=1), {"interval_s": 0.01, "failed": failures.release}
    with StudyWatch(server, tmp_path / "seen.json", taken, **times) as watch:
        assert all(failures.acquire(timeout=60) for _ in range(3))
        archive.fault = None
        assert taken.called.wait(60)
        assert watch.is_alive()
        assert all(thread.daemon for thread in threading.enumerate() if thread.name == "cardiacseg-watch")
    assert not watch.is_alive()
    assert len(taken.studies) == 1


def test_a_memory_that_is_something_else(service, taken, tmp_path):
    for content in ("{}", "[1]", "text"):
        (tmp_path / "seen.json").write_text(content)
        with pytest.raises(InvalidInputError, match="memory of a watch"):
            StudyWatch(service.server(), tmp_path / "seen.json", taken)
