"""Which instances make a study, when it is finished, and what is refused: by a clock that the test turns."""

import io

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from cardiacseg.network.aside import Aside
from cardiacseg.network.durable import NO_SPACE
from cardiacseg.network.instances import Arrival
from cardiacseg.network.spool import Spool
from cardiacseg.network.studies import DAMAGED, NOT_TAKEN, RESTARTED, TOO_LARGE, TOO_LONG, TOO_MANY, Limits, OpenStudies

IDLE_S, INCOMPLETE_S, STUDY_S = 5.0, 20.0, 500.0
LIMITS = Limits(study_bytes=10, study_instances=3, open_studies=3, host_studies=2, study_s=STUDY_S, free_bytes=0)


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
    made.close()


def open_studies(spool, clock, limits=LIMITS):
    return OpenStudies(spool, Aside(spool, days=7), limits, IDLE_S, INCOMPLETE_S, clock)


@pytest.fixture
def studies(spool, clock):
    return open_studies(spool, clock)


def arrival(study, instance, content=b"x", series="S", announced=0, host="one"):
    return Arrival(study, series, instance, content, announced, host)


def content_of(study):
    return {uid: path.read_bytes() for uid, (path, _) in study.instances.items()}


def test_finished_after_release_and_silence(studies, clock):
    assert studies.seconds_until_finished() is None
    assert studies.add(arrival("A", "1", b"one"), "first") == ""
    clock.now += 100
    assert studies.take_finished() is None  # the association is open
    assert studies.seconds_until_finished() == STUDY_S - 100
    studies.end("first")
    clock.now += IDLE_S - 0.5
    assert studies.take_finished() is None
    assert studies.seconds_until_finished() == pytest.approx(0.5)
    clock.now += 0.5
    study = studies.take_finished()
    assert content_of(study) == {"1": b"one"}
    assert study.entry.record.state == "waiting"
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


def finished(studies, clock, wait_s=IDLE_S):
    clock.now += wait_s
    return studies.take_finished()


def test_an_association_that_goes_on_with_other_studies_does_not_hold_the_first(studies, clock):
    """Some archives send all studies, for hours, over one association."""
    for study in ("A", "B", "A", "B"):
        assert studies.take_finished() is None
        studies.add(arrival(study, str(clock.now)), "router")
        clock.now += INCOMPLETE_S / 2 - 1
    clock.now += 2
    study = studies.take_finished()
    assert study.entry.record.fault == "" and len(study.instances) == 2
    clock.now += 10 * INCOMPLETE_S
    assert studies.take_finished() is None  # B may go on
    studies.end("router")
    clock.now += IDLE_S
    assert len(studies.take_finished().instances) == 2


def test_an_association_that_returns_to_a_refused_study_brings_no_part_of_it(studies, clock):
    studies.add(arrival("A", "1"), "first")
    studies.add(arrival("B", "1"), "first")
    assert studies.add(arrival("C", "1"), "second") == TOO_MANY
    studies.end("first")
    clock.now += IDLE_S
    studies.done(studies.take_finished().entry)
    assert studies.add(arrival("D", "1"), "second") == ""
    clock.now += 2 * INCOMPLETE_S
    studies.take_finished()
    assert studies.add(arrival("C", "2"), "second") == TOO_MANY


def test_an_association_that_broke_marks_its_studies(studies, clock):
    studies.add(arrival("A", "1"), "first")
    studies.add(arrival("B", "1"), "second")
    studies.end("first", "it broke")
    studies.end("first")  # what is heard first counts
    studies.end("second")
    assert finished(studies, clock).missing() == ""
    assert finished(studies, clock) is None  # the other one waits longer for what may still come
    study = finished(studies, clock, INCOMPLETE_S - 2 * IDLE_S)
    assert study.missing() == study.entry.record.fault == "it broke"


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
    assert finished(studies, clock, INCOMPLETE_S).missing() == "it broke"
    studies.add(arrival("A", "1"), "first")
    studies.end("first", "it broke")
    studies.add(arrival("A", "2"), "later")
    studies.end("later", "it broke again")
    assert finished(studies, clock, INCOMPLETE_S).missing() == "it broke again"


def test_fewer_images_than_a_series_announces(studies, clock):
    for instance, series, announced in (("1", "S", 3), ("2", "S", 0), ("2", "S", 3), ("3", "T", 1)):
        studies.add(arrival("A", instance, b"", series, announced), "first")
    studies.end("first")
    assert finished(studies, clock, INCOMPLETE_S).missing().startswith("2 of 3 images came")
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
    assert first.entry.name != second.entry.name


def test_an_instance_that_comes_again_replaces_the_first(studies, clock):
    for content in (b"123456789", b"123456789", b"987654321"):  # all together would be too large
        assert studies.add(arrival("A", "1", content), "first") == ""
    studies.end("first")
    study = finished(studies, clock)
    assert content_of(study) == {"1": b"987654321"}
    assert (study.bytes, len(list(study.entry.images.iterdir())), study.changed) == (9, 1, 1)


def test_a_study_that_is_too_large_is_refused_as_a_whole(studies, clock):
    studies.add(arrival("A", "1", b"12345678"), "first")
    assert studies.add(arrival("A", "2", b"345"), "first") == TOO_LARGE
    assert studies.add(arrival("A", "3", b""), "first") == TOO_LARGE  # nothing of it is taken as if it were all
    for number in range(4):
        refusal = studies.add(arrival("B", str(number), b""), "first")
    assert refusal == TOO_LARGE
    studies.end("first")
    study = finished(studies, clock)
    assert study.refused == TOO_LARGE and content_of(study) == {"1": b"12345678"}  # what was acknowledged is there


def test_too_many_studies(studies, clock):
    for study, host in ("A1", "B2", "C3"):
        studies.add(arrival(study, "1", host=host), "first")
    assert studies.add(arrival("D", "1", host="4"), "second") == TOO_MANY
    studies.end("first")
    taken = finished(studies, clock)
    assert studies.add(arrival("E", "1", host="4"), "third") == TOO_MANY  # the one in work counts
    studies.done(taken.entry)
    assert studies.add(arrival("D", "2", host="4"), "second") == TOO_MANY  # its first part was refused
    assert studies.add(arrival("E", "2", host="4"), "third") == TOO_MANY
    assert studies.add(arrival("F", "1", host="4"), "third") == ""
    assert len(studies.unfinished()) == 3


def test_one_host_cannot_take_all_places(studies):
    for study in "AB":
        assert studies.add(arrival(study, "1"), "first") == ""
    assert studies.add(arrival("C", "1"), "first") == TOO_MANY
    assert studies.add(arrival("D", "1", host="other"), "second") == ""


def test_few_refused_studies_are_remembered(studies):
    for study in "AB":
        studies.add(arrival(study, "1", b""), "first")
    for number in range(3000):
        assert studies.add(arrival(f"1.{number}", "1", b""), "first") == TOO_MANY
    assert len(studies._studies) <= 1002


def test_an_association_without_an_end_does_not_hold_the_study(studies, clock):
    studies.add(arrival("A", "1"), "first")
    for _ in range(int(STUDY_S / 50)):
        assert studies.take_finished() is None
        clock.now += 50
        studies.add(arrival("A", "2"), "first")
    assert studies.take_finished().missing() == TOO_LONG


def test_a_disk_without_room_refuses_an_instance_and_not_what_follows(spool, clock):
    studies = open_studies(spool, clock, Limits(free_bytes=1 << 60))
    assert studies.add(arrival("A", "1"), "first") == NO_SPACE
    studies = open_studies(spool, clock, Limits(free_bytes=0))
    studies.add(arrival("A", "1", b"1"), "first")
    studies._limits = Limits(free_bytes=1 << 60)
    assert studies.add(arrival("A", "2", b"2"), "first") == NO_SPACE
    studies._limits = Limits(free_bytes=0)
    assert studies.add(arrival("A", "3", b"3"), "first") == ""
    studies.end("first")
    assert finished(studies, clock) is None  # the second may be sent again
    studies.add(arrival("A", "2", b"2"), "later")
    studies.end("later")
    study = finished(studies, clock)
    assert study.missing() == "" and content_of(study) == {"1": b"1", "2": b"2", "3": b"3"}


def test_what_the_disk_never_took_is_missing(spool, clock):
    studies = open_studies(spool, clock, Limits(free_bytes=0))
    studies.add(arrival("A", "1", b"1"), "first")
    studies._limits = Limits(free_bytes=1 << 60)
    studies.add(arrival("A", "2", b"2"), "first")
    studies.end("first")
    assert finished(studies, clock, INCOMPLETE_S).missing() == NOT_TAKEN


def file(study, instance, announced=0):
    """An arrival with the bytes of a DICOM file."""
    made = pydicom.Dataset()
    made.StudyInstanceUID, made.SeriesInstanceUID = study, "1.9"
    made.SOPClassUID, made.SOPInstanceUID = MRImageStorage, instance
    if announced:
        made.NumberOfSeriesRelatedInstances = announced
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return arrival(study, instance, buffer.getvalue(), "1.9", announced)


def restarted(spool, clock):
    """What another receiver finds in the same spool."""
    studies = open_studies(spool, clock, Limits(free_bytes=0))
    entries = spool.entries()
    studies.resume([one for one in entries if one.record.state == "arriving"], [])
    return studies


def test_after_a_restart_more_of_the_study_may_come(spool, clock):
    studies = open_studies(spool, clock, Limits(free_bytes=0))
    for instance in ("1.1", "1.2"):
        assert studies.add(file("1.0", instance), "first") == ""
    studies = restarted(spool, clock)
    assert finished(studies, clock) is None  # the sender may come back
    assert studies.add(file("1.0", "1.3"), "later") == ""
    studies.end("later")
    study = finished(studies, clock)
    assert study.missing() == "" and set(study.instances) == {"1.1", "1.2", "1.3"}


def test_after_a_restart_a_study_that_was_arriving_is_incomplete(spool, clock):
    studies = open_studies(spool, clock, Limits(free_bytes=0))
    studies.add(file("1.0", "1.1"), "first")
    studies = restarted(spool, clock)
    study = finished(studies, clock, INCOMPLETE_S)
    assert study.missing() == RESTARTED and set(study.instances) == {"1.1"}


def test_after_a_restart_a_released_study_is_complete_if_all_came_that_is_announced(spool, clock):
    studies = open_studies(spool, clock, Limits(free_bytes=0))
    studies.add(file("1.0", "1.1", announced=1), "first")
    studies.add(file("2.0", "2.1", announced=2), "first")
    studies.end("first")
    studies = restarted(spool, clock)
    assert finished(studies, clock).missing() == ""
    assert finished(studies, clock, INCOMPLETE_S).missing().startswith("1 of 2 images came")


def test_an_image_that_was_damaged_on_the_disk_is_noticed_and_hides_no_other(spool, clock):
    studies = open_studies(spool, clock, Limits(free_bytes=0))
    for instance in ("1.1", "1.2", "1.3"):
        studies.add(file("1.0", instance, announced=4), "first")
    studies.end("first")
    (entry,) = studies.unfinished()
    (entry.images / "000002.dcm").write_bytes(bytes(200))
    (entry.images / "notes.dcm").write_bytes(b"of a person")
    studies = restarted(spool, clock)
    studies.add(file("1.0", "1.4"), "later")
    study = studies._studies["1.0"]
    assert study.missing() == DAMAGED and set(study.instances) == {"1.1", "1.3", "1.4"}
    assert len(list(entry.images.glob("0*.dcm"))) == 4
    studies.add(file("1.0", "1.2"), "later")
    studies.end("later")
    assert finished(studies, clock).missing() == ""


def test_a_study_that_lies_aside_is_taken_back_if_more_of_it_comes(spool, clock):
    studies = open_studies(spool, clock, Limits(free_bytes=0))
    studies.add(file("1.0", "1.1"), "first")
    studies.end("first", "it broke")
    study = finished(studies, clock, INCOMPLETE_S)
    name = study.entry.name
    studies._aside.put(study.entry, "N_INCOMPLETE")
    studies.done(study.entry)
    studies = open_studies(spool, clock, Limits(free_bytes=0))  # also by the next receiver
    assert studies.add(file("1.0", "1.2"), "later") == ""
    studies.end("later")
    study = finished(studies, clock)
    assert study.missing() == "" and set(study.instances) == {"1.1", "1.2"}
    assert study.entry.name != name and not spool.aside()  # so that its results have another name, too
