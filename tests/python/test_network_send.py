"""Sending: every file arrives as it is, and a node that does not take one is named with the file and the status."""

import logging
import socket
import ssl
import subprocess
import threading

import pydicom
import pytest
from dicom_nodes import Archive, archive_node, captured_log, free_port
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom import AE, AllStoragePresentationContexts
from pynetdicom.sop_class import LabelMapSegmentationStorage, MRImageStorage
from synthetic_dicom import SECRETS, Recipe, classic_study, write

from cardiacseg.errors import InvalidInputError, NetworkError
from cardiacseg.network.instances import find_instances
from cardiacseg.network.peer import Peer
from cardiacseg.network.send import send, split_by_contexts


@pytest.fixture
def study(tmp_path):
    made = classic_study(Recipe(frames=2, slices=3, size=(32, 36)))
    write(made.datasets, tmp_path / "study")
    return made, tmp_path / "study"


def uids(made):
    return {dataset.SOPInstanceUID for dataset in made.datasets}


def test_a_folder_arrives_as_it_is(study):
    made, folder = study
    (folder / "report.json").write_text("{}")
    archive = Archive()
    with archive_node(archive) as peer:
        report = send(folder, peer)
    assert (report.sent, report.associations, report.others, report.warnings) == (6, 1, 1, ())
    assert report.bytes == sum(path.stat().st_size for path in folder.glob("IM*"))
    assert set(archive.stored) == uids(made)
    for path in folder.glob("IM*"):
        sent = pydicom.dcmread(path)
        received = pydicom.dcmread(pydicom.filebase.DicomBytesIO(archive.stored[sent.SOPInstanceUID]))
        assert received == sent
        assert received.PixelData == sent.PixelData
        assert received.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_files_by_name(study):
    _, folder = study
    archive = Archive()
    with archive_node(archive) as peer:
        assert send([folder / "IM0000", folder / "IM0003"], peer).sent == 2
        assert send(folder / "IM0001", peer).sent == 1
    assert (len(archive.stored), archive.associations) == (3, 2)


def test_files_and_folders_together(study, tmp_path):
    made, folder = study
    (tmp_path / "more/below").mkdir(parents=True)
    (folder / "IM0005").rename(tmp_path / "more/below/IM0005")
    archive = Archive()
    with archive_node(archive) as peer:
        report = send([folder / "IM0000", folder, tmp_path / "more"], peer)
    assert report.sent == 6  # each once
    assert set(archive.stored) == uids(made)


def test_each_syntax_gets_its_own_context(study):
    made, folder = study
    compressed = pydicom.dcmread(folder / "IM0002")
    compressed.compress(RLELossless, generate_instance_uid=False)
    compressed.save_as(folder / "IM0002")
    archive = Archive()
    with archive_node(archive, syntaxes=[RLELossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian]) as peer:
        send(folder, peer)
    syntaxes = [pydicom.dcmread(pydicom.filebase.DicomBytesIO(content)) for content in archive.stored.values()]
    assert sorted(one.file_meta.TransferSyntaxUID.name for one in syntaxes).count("RLE Lossless") == 1
    assert set(archive.stored) == uids(made)


def test_implicit_vr_where_the_node_knows_nothing_else(study):
    made, folder = study
    archive = Archive()
    with archive_node(archive, syntaxes=[ImplicitVRLittleEndian]) as peer:
        assert send(folder, peer).sent == 6
    received = pydicom.dcmread(pydicom.filebase.DicomBytesIO(archive.stored[made.datasets[0].SOPInstanceUID]))
    assert received.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert received.PixelData == made.datasets[0].PixelData


def test_label_maps_are_offered(study):
    _, folder = study
    path = folder / "IM0000"
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = LabelMapSegmentationStorage
    dataset.save_as(path)
    archive = Archive()
    with archive_node(archive) as peer:
        send(path, peer)
    assert len(archive.stored) == 1


def test_more_contexts_than_one_association_holds(study):
    _, folder = study
    kinds = [context.abstract_syntax for context in AllStoragePresentationContexts[:70]]  # two contexts each
    for number, kind in enumerate(kinds):
        dataset = pydicom.dcmread(folder / "IM0000")
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = kind
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        dataset.save_as(folder / f"kind{number:03}")
    instances, _ = find_instances(sorted(folder.glob("kind*")))
    assert [len(part) for part in split_by_contexts(instances)] == [64, 6]
    archive = Archive()
    with archive_node(archive) as peer:
        report = send(sorted(folder.glob("kind*")), peer)
    assert (report.sent, report.associations, archive.associations) == (70, 2, 2)


def test_a_peer_without_room_gets_no_more(study):
    _, folder = study
    archive = Archive(lambda number: 0xA700 if number == 2 else 0)
    refused = pytest.raises(NetworkError, match="IM0002: status 0xA700, after 2 of 6")
    with archive_node(archive) as peer, refused:
        send(folder, peer)
    assert archive.arrived == 3


@pytest.mark.parametrize("status", [0xA900, 0xC001, 0x0122])
def test_a_file_that_is_not_taken_keeps_no_other_from_the_peer(study, status):
    _, folder = study
    archive = Archive(lambda number: status if number == 2 else 0)
    words = rf"stored 5 of 6 files; it did not store IM0002 \(status 0x{status:04X}\)$"
    with archive_node(archive) as peer, pytest.raises(NetworkError, match=words):
        send(folder, peer)
    assert archive.arrived == 6 and len(archive.stored) == 5


@pytest.mark.parametrize("status", [0xB000, 0x0111])  # 0x0111: it has an instance with this UID
def test_a_warning_counts_as_stored(study, status):
    made, folder = study
    archive = Archive(lambda number: status if number == 1 else 0)
    with archive_node(archive) as peer:
        report = send(folder, peer)
    assert (report.sent, report.warnings) == (len(made.datasets), (("IM0001", status),))
    assert set(archive.stored) | {made.datasets[1].SOPInstanceUID} == uids(made)


def test_nobody_listens(study):
    _, folder = study
    for host in ("127.0.0.1", "no-such-host.invalid"):
        with pytest.raises(NetworkError, match="cannot be reached"):
            send(folder, Peer("ARCHIVE", host, free_port()), timeout=5)


def test_something_else_listens(study):
    _, folder = study
    with socket.create_server(("127.0.0.1", 0)) as mute:
        begin = Peer("ARCHIVE", "127.0.0.1", mute.getsockname()[1])
        with pytest.raises(NetworkError, match="does not answer"):
            send(folder, begin, timeout=1)


def test_wrong_titles_are_refused(study):
    _, folder = study
    refused = "refused the association: {} ae title not recognised"
    with (
        archive_node(Archive(), require_called_aet=True) as peer,
        pytest.raises(NetworkError, match=refused.format("called")),
    ):
        send(folder, Peer("SOMEONE", peer.host, peer.port))
    with archive_node(Archive(), require_calling_aet=["FRIEND"]) as peer:
        with pytest.raises(NetworkError, match=refused.format("calling")):
            send(folder, peer)
        assert send(folder, peer, calling="FRIEND").sent == 6


def test_a_node_that_stores_nothing_of_the_kind(study):
    _, folder = study
    only = [context for context in AllStoragePresentationContexts if context.abstract_syntax != MRImageStorage]
    with (
        archive_node(Archive(), contexts=only) as peer,
        pytest.raises(NetworkError, match="accepted none of the offered SOP classes"),
    ):
        send(folder, peer)


def test_one_kind_of_several_is_refused(study):
    _, folder = study
    for name in ("IM0000", "IM0004"):  # in front of others that are taken, as SEGs are in front of the report
        dataset = pydicom.dcmread(folder / name)
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = LabelMapSegmentationStorage
        dataset.save_as(folder / name)
    only = [context for context in AllStoragePresentationContexts if context.abstract_syntax == MRImageStorage]
    why = r"\(its SOP class or transfer syntax is refused\)"
    archive, words = Archive(), rf"stored 4 of 6 files; it did not store IM0000 {why}, IM0004 {why}$"
    with archive_node(archive, contexts=only) as peer, pytest.raises(NetworkError, match=words):
        send(folder, peer)
    assert len(archive.stored) == 4 and archive.associations == 1


def archive_that(disturbs, at):
    """An archive that calls ``disturbs(event)`` when file number ``at`` has arrived."""
    archive = Archive()
    on_store = archive.on_store

    def disturbed(event):
        if archive.arrived == at:
            disturbs(event)
        return on_store(event)

    archive.on_store = disturbed
    return archive


def drop_answer(event):
    """The next answer is lost, as in a requestor under load; the association stays open."""
    provider = event.assoc.dimse
    send_message = provider.send_msg

    def send_nothing(*arguments):
        provider.send_msg = send_message

    provider.send_msg = send_nothing


def test_the_association_ends_in_the_middle(study):
    made, folder = study
    words = r"ended the association.* at IM0002, after 2 of 6"
    archive = archive_that(lambda event: event.assoc.abort(), at=2)
    with archive_node(archive) as peer, pytest.raises(NetworkError, match=words) as caught:
        send(folder, peer, retries=0)
    assert caught.value.stored == ("IM0000", "IM0001")
    archive = archive_that(lambda event: event.assoc.abort(), at=2)
    with archive_node(archive) as peer:
        report = send(folder, peer)
    assert (report.sent, report.associations, set(archive.stored)) == (6, 2, uids(made))


def test_an_answer_that_is_lost_is_noticed_and_the_rest_is_sent(study):
    made, folder = study
    archive = archive_that(drop_answer, at=3)
    with captured_log() as log, archive_node(archive) as peer:
        report = send(folder, peer, timeout=0.5)
    assert (report.sent, report.associations, set(archive.stored)) == (6, 2, uids(made))
    assert archive.arrived == 7  # only the file without an answer came twice, under its own UID
    assert "did not answer in time, at IM0003, after 3 of 6 files; attempt 1 of 3 follows" in "\n".join(log.lines)


def test_retries_end(study):
    _, folder = study
    archive = Archive()
    on_store = archive.on_store

    def never_answer(event):
        drop_answer(event)
        return on_store(event)

    archive.on_store = never_answer
    with archive_node(archive) as peer, pytest.raises(NetworkError, match="did not answer in time, at IM0000"):
        send(folder, peer, timeout=0.3, retries=1)
    assert archive.associations == 2


def test_a_peer_that_is_busy_is_asked_again(study):
    _, folder = study
    archive = Archive()
    with archive_node(archive, maximum_associations=1) as peer:
        holder = AE("HOLDER")
        holder.add_requested_context(MRImageStorage)
        association = holder.associate(peer.host, peer.port, ae_title=peer.title)
        with pytest.raises(NetworkError, match=r"local limit exceeded \(rejected transient\)"):
            send(folder, peer, retries=0)
        threading.Timer(0.2, association.release).start()
        assert send(folder, peer).sent == 6


def test_what_cannot_be_sent(tmp_path, study):
    _, folder = study
    peer = Peer("ARCHIVE", "127.0.0.1", 1)  # never called: files are looked at first
    text = tmp_path / "notes.txt"
    text.write_text("no DICOM")
    for source, words in [
        (text, "notes.txt is not a DICOM file"),
        ([folder / "IM0000", tmp_path / "absent.dcm"], "absent.dcm does not exist"),
        (tmp_path / "empty", "nothing to send"),
    ]:
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InvalidInputError, match=words):
            send(source, peer)
    (folder / "IM0001").write_bytes((folder / "IM0001").read_bytes()[:150])
    with pytest.raises(InvalidInputError, match="IM0001: the DICOM header is damaged"):
        send(folder, peer)
    nameless = pydicom.dcmread(folder / "IM0000")
    del nameless.SOPInstanceUID
    nameless.save_as(folder / "IM0001")
    with pytest.raises(InvalidInputError, match="IM0001: SOP Class UID, SOP Instance UID or"):
        send(folder, peer)


def test_no_log_tells_who_it_is(study):
    made, folder = study
    logging.getLogger("pynetdicom").setLevel(logging.NOTSET)
    archive = Archive(lambda number: 0xA700 if number == 5 else 0)
    with captured_log() as log, archive_node(archive) as peer:
        send(folder / "IM0000", peer)
        with pytest.raises(NetworkError) as caught:
            send(folder, peer)
    text = "\n".join([*log.lines, str(caught.value)])
    assert "sent 1 files" in text
    for secret in (*SECRETS, *uids(made), made.datasets[0].StudyInstanceUID):
        assert secret not in text


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    made = subprocess.run(["openssl", *words.split(), *files], capture_output=True)
    if made.returncode:
        pytest.skip("openssl could not make a certificate")
    return folder / "cert.pem", folder / "key.pem"


def test_encrypted(study, certificate):
    made, folder = study
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    client = ssl.create_default_context(cafile=certificate[0])
    archive = Archive()
    with archive_node(archive, tls=server) as peer:
        assert send(folder, peer, tls=client).sent == 6
        with pytest.raises(NetworkError):  # a certificate that nobody vouches for
            send(folder, peer, tls=ssl.create_default_context(), timeout=5)
        with pytest.raises(NetworkError):
            send(folder, peer, timeout=5)
    assert set(archive.stored) == uids(made)


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
