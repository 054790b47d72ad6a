"""Which instances make a study, when it is finished, and what is refused: by a clock that the test turns."""

import os
import stat
import subprocess
import sys
import time

import pytest

from cardiacseg.network.studies import (
    NOT_WRITTEN,
    TOO_LARGE,
    TOO_MANY,
    Arrival,
    Limits,
    OpenStudies,
    Spool,
    write_private,
)

IDLE_S = 5.0


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path)
    yield made
    made.remove()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def studies(spool, clock):
    limits = Limits(study_bytes=10, study_instances=3, open_studies=2)
    return OpenStudies(spool, limits, IDLE_S, clock)


def arrival(study, instance, content=b"", series="S", announced=0):
    return Arrival(study, series, instance, content, announced)


def content_of(study):
    return {uid: path.read_bytes() for uid, (path, _) in study.instances.items()}


def test_finished_after_release_and_silence(studies, clock):
    assert studies.seconds_until_finished() is None
    assert studies.add(arrival("A", "1", b"one"), "first") == ""
    clock.now += 100
    assert studies.take_finished() is None  # the association is open
    assert studies.seconds_until_finished() is None
    studies.end("first")
    clock.now += IDLE_S - 0.5
    assert studies.take_finished() is None
    assert studies.seconds_until_finished() == pytest.approx(0.5)
    clock.now += 0.5
    study = studies.take_finished()
    assert content_of(study) == {"1": b"one"}
    assert studies.take_finished() is None


def test_another_association_starts_the_wait_again(studies, clock):
    studies.add(arrival("A", "1", b"one"), "first")
    studies.end("first")
    clock.now += IDLE_S - 1
    studies.add(arrival("A", "2", b"two"), "second")
    clock.now += IDLE_S + 1
    assert studies.take_finished() is None
    studies.end("second")
    clock.now += IDLE_S
    assert content_of(studies.take_finished()) == {"1": b"one", "2": b"two"}


def finished(studies, clock):
    clock.now += IDLE_S
    return studies.take_finished()


def test_an_association_that_broke_marks_its_studies(studies, clock):
    studies.add(arrival("A", "1"), "first")
    studies.add(arrival("B", "1"), "second")
    studies.end("first", "it broke")
    studies.end("first")  # what is heard first counts
    studies.end("second")
    clock.now += IDLE_S
    assert {studies.take_finished().missing() for _ in "AB"} == {"it broke", ""}


def test_what_comes_in_a_later_association_makes_the_study_complete_again(studies, clock):
    studies.add(arrival("A", "1"), "first")
    studies.add(arrival("A", "2"), "beside")
    studies.end("first", "it broke")
    studies.add(arrival("A", "3"), "later")
    studies.end("later")
    assert finished(studies, clock) is None  # one is still open
    studies.end("beside")
    assert finished(studies, clock).missing() == ""


def test_what_came_beside_or_broke_again_does_not(studies, clock):
    studies.add(arrival("A", "1"), "first")
    studies.add(arrival("A", "2"), "beside")
    studies.end("first", "it broke")
    studies.end("beside")
    assert finished(studies, clock).missing() == "it broke"
    studies.add(arrival("A", "1"), "first")
    studies.end("first", "it broke")
    studies.add(arrival("A", "2"), "later")
    studies.end("later", "it broke again")
    assert finished(studies, clock).missing() == "it broke again"


def test_fewer_images_than_a_series_announces(studies, clock):
    for instance, series, announced in (("1", "S", 3), ("2", "S", 0), ("2", "S", 3), ("3", "T", 1)):
        studies.add(arrival("A", instance, b"", series, announced), "first")
    studies.end("first")
    assert finished(studies, clock).missing().startswith("2 of 3 images came")
    for instance in "12":
        studies.add(arrival("A", instance, b"", "S", 2), "first")
    studies.end("first")
    assert finished(studies, clock).missing() == ""


def test_studies_of_one_association_are_kept_apart(studies, clock):
    studies.add(arrival("A", "1", b"one"), "first")
    clock.now += 1
    studies.add(arrival("B", "2", b"two"), "first")
    studies.add(arrival("B", "3", b"three"), "first")
    studies.end("first")
    clock.now += IDLE_S
    first, second = studies.take_finished(), studies.take_finished()
    assert (content_of(first), content_of(second)) == ({"1": b"one"}, {"2": b"two", "3": b"three"})
    assert first.number != second.number


def test_an_instance_that_comes_again_replaces_the_first(studies, clock):
    for content in (b"123456789", b"987654321"):  # both together would be too large
        assert studies.add(arrival("A", "1", content), "first") == ""
    studies.end("first")
    clock.now += IDLE_S
    study = studies.take_finished()
    assert content_of(study) == {"1": b"987654321"}
    assert (study.bytes, len(list(study.folder.iterdir()))) == (9, 1)


def test_a_study_that_is_too_large_is_refused_as_a_whole(studies, clock, spool):
    studies.add(arrival("A", "1", b"12345678"), "first")
    assert studies.add(arrival("A", "2", b"345"), "first") == TOO_LARGE
    assert not list(spool.path.iterdir())
    assert studies.add(arrival("A", "3", b""), "first") == TOO_LARGE  # nothing of it is taken as if it were all
    for number in range(4):
        refusal = studies.add(arrival("B", str(number), b""), "first")
    assert refusal == TOO_LARGE
    studies.end("first")
    clock.now += IDLE_S
    assert studies.take_finished() is None
    assert studies.add(arrival("A", "1", b"1"), "second") == ""  # it may be sent again


def test_too_many_studies(studies, clock):
    for study in "AB":
        studies.add(arrival(study, "1", b"1"), "first")
    assert studies.add(arrival("C", "1", b"1"), "second") == TOO_MANY
    studies.end("first")
    clock.now += IDLE_S
    taken = studies.take_finished()
    assert studies.add(arrival("D", "1", b"1"), "third") == TOO_MANY  # the one in work counts
    studies.done(taken)
    assert studies.add(arrival("C", "2", b"1"), "second") == TOO_MANY  # its first part was refused
    assert studies.add(arrival("D", "2", b"1"), "third") == TOO_MANY
    assert studies.add(arrival("E", "1", b"1"), "third") == ""
    assert studies.unfinished() == 2
    assert not taken.folder.exists()


def test_few_refused_studies_are_remembered(studies):
    for study in "AB":
        studies.add(arrival(study, "1", b""), "first")
    for number in range(3000):
        assert studies.add(arrival(f"1.{number}", "1", b""), "first") == TOO_MANY
    assert len(studies._studies) <= 1002


def test_a_full_disk_refuses_the_study(studies, spool):
    studies.add(arrival("A", "1", b"1"), "first")
    for folder in spool.path.iterdir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    assert studies.add(arrival("A", "2", b"2"), "first") == NOT_WRITTEN


def test_private(spool):
    folder = spool.new_folder()
    old = os.umask(0)
    try:
        write_private(folder / "a.dcm", b"content")
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (spool.path, folder, folder / "a.dcm")]
    assert modes == [0o700, 0o700, 0o600]


LEAVE = """
import os, sys
from cardiacseg.network.studies import Spool, write_private
spool = Spool(sys.argv[1])
write_private(spool.new_folder() / "a.dcm", b"content")
print("made", flush=True)
{end}
"""


def leave(folder, end):
    return subprocess.Popen(
        [sys.executable, "-c", LEAVE.format(end=end), folder], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


def test_the_end_of_the_program_removes_it(tmp_path):
    with leave(tmp_path, "raise SystemExit(3)") as process:
        assert process.wait(60) == 3
    assert not list(tmp_path.iterdir())


def test_what_a_killed_receiver_left_is_removed_but_not_what_is_in_use(tmp_path):
    with leave(tmp_path, "sys.stdin.read()") as process:
        assert process.stdout.readline() == "made\n"
        (left,) = tmp_path.iterdir()
        long_ago = time.time() - 3600
        os.utime(left, (long_ago, long_ago))
        Spool(tmp_path).remove()
        assert list(tmp_path.iterdir()) == [left]
        process.kill()
    Spool(tmp_path).remove()
    assert not list(tmp_path.iterdir())
