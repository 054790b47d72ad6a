"""DICOMweb with a real Orthanc over mutual TLS: a study is retrieved and segmented, the results are stored."""

import json
import ssl
from datetime import date

import pydicom
import pytest
import trustme
from dicom_nodes import wait_until
from orthanc import own_network, running_orthanc, tls_in_front
from synthetic_dicom import Recipe, classic_study, write
from synthetic_enhanced import enhanced_study
from test_network_orthanc import make_results

from cardiacseg.cli import main
from cardiacseg.errors import NetworkError
from cardiacseg.network.destinations import web_destination
from cardiacseg.network.dicomweb.client import retrieve_study, store
from cardiacseg.network.dicomweb.server import WebServer
from cardiacseg.network.dicomweb.watch import StudyWatch
from cardiacseg.network.options import ReceiverOptions
from cardiacseg.network.receive import Receiver
from cardiacseg.network.studies import Limits

USER, PASSWORD = "reader", "a password"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """PEM files of an authority, and of a server and a client that it signed, with their keys."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    files = {name: folder / f"{name}.pem" for name in ("authority", "server", "client")}
    authority.cert_pem.write_to_path(files["authority"])
    for name in ("server", "client"):
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(files[name])
    return files


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    with own_network(), running_orthanc(tmp_path_factory.mktemp("orthanc"), (USER, PASSWORD)) as running:
        yield running


@pytest.fixture(scope="module")
def url(orthanc, certificates):
    """Orthanc's DICOMweb over TLS, for clients with a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates["authority"])
    context.load_cert_chain(certificates["server"])
    context.verify_mode = ssl.CERT_REQUIRED
    with tls_in_front(orthanc.http_port, context) as port:
        yield f"https://127.0.0.1:{port}/dicom-web"


@pytest.fixture
def server(orthanc, url, certificates):
    orthanc.delete_all()
    own = {"ca": certificates["authority"], "certificate": certificates["client"]}
    return WebServer(url, user=USER, password=PASSWORD, attempts=2, wait_s=0.01, **own)


@pytest.fixture
def options(certificates, tmp_path):
    (tmp_path / "password").write_text(PASSWORD)
    words = ["--user", USER, "--password-file", tmp_path / "password"]
    return [*map(str, [*words, "--web-ca", certificates["authority"], "--web-cert", certificates["client"]])]


def documents(folder):
    """Every result but pages and pictures, without the times of the run."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".dcm", ".csv", ".gz")}
    for name in ("measurements.json", "quality.json", "report.json"):
        found[name] = json.loads((folder / name).read_text())
    run = found["report.json"]
    return found | {"report.json": {key: run[key] for key in ("input", "grid", "timing", "notes") if key in run}}


def test_a_study_by_address_gives_the_results_of_its_folder(server, orthanc, options, tiny_bundle, tmp_path, capsys):
    study = classic_study(Recipe(frames=8, slices=3, size=(40, 44)))
    write(study.datasets, tmp_path / "study")
    report = store(tmp_path / "study", server)
    assert (report.sent, report.others, report.warnings) == (24, 0, ())
    segment = ["--model", str(tiny_bundle), "--no-report", "--quiet"]
    disk, web = tmp_path / "disk", tmp_path / "web"
    assert main(["segment", str(tmp_path / "study"), "-o", str(disk), *segment]) == 0
    assert main(["send", *map(str, disk.glob("*.dcm")), "--stow", server.url, *options]) == 0
    for name, modality in (("seg-ed.dcm", "SEG"), ("sr.dcm", "SR")):
        stored = [pydicom.dcmread(pydicom.filebase.DicomBytesIO(content)) for content in orthanc.files(modality)]
        assert pydicom.dcmread(disk / name) in stored
    # The study now holds images and results.
    by_address = ["segment", server.url, "--study", study.datasets[0].StudyInstanceUID, "-o", str(web)]
    assert main([*by_address, *options, *segment]) == 0, capsys.readouterr().err
    assert {path.name for path in web.iterdir()} == {path.name for path in disk.iterdir()}
    assert documents(web) == documents(disk)


def test_files_come_as_they_were_stored(server, tmp_path):
    study = enhanced_study(Recipe(frames=8, slices=3, size=(40, 44), series_per_slice=True))
    for dataset in study.datasets[:1]:
        dataset.compress(pydicom.uid.RLELossless)
    write(study.datasets, tmp_path / "study")
    store(tmp_path / "study", server)
    (tmp_path / "back").mkdir()
    assert retrieve_study(study.datasets[0].StudyInstanceUID, server, tmp_path / "back") == 3
    back = {dataset.SOPInstanceUID: dataset for dataset in map(pydicom.dcmread, (tmp_path / "back").rglob("*.dcm"))}
    for dataset in map(pydicom.dcmread, (tmp_path / "study").iterdir()):
        assert back[dataset.SOPInstanceUID] == dataset
        assert back[dataset.SOPInstanceUID].file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID


def test_a_watched_study_gets_its_results_stored(server, orthanc, tmp_path):
    study = classic_study(Recipe(frames=8, slices=3, size=(40, 44)))
    for dataset in study.datasets:
        dataset.StudyDate = f"{date.today():%Y%m%d}"
    write(study.datasets, tmp_path / "study")
    store(tmp_path / "study", server)
    calls = []

    def segment(folder, output, notes):
        calls.append(len(list(folder.iterdir())))
        return make_results(folder, output), notes

    destination, spool = web_destination(server), tmp_path / "spool"
    options = ReceiverOptions(port=0, idle_s=0.3, destinations=(destination,), spool=spool, limits=Limits(free_bytes=0))
    looks = []
    receiver = Receiver(segment, options)
    watch = StudyWatch(server, spool / "watched.json", receiver.take, interval_s=0.05)
    look, watch.look = watch.look, lambda: looks.append(look())
    with receiver, watch:
        wait_until(lambda: orthanc.files("SR"))
        wait_until(lambda: not list((spool / "studies").iterdir()))
        before = len(looks)
        wait_until(lambda: len(looks) > before + 3)  # at the study with its results
    assert (calls, sum(looks)) == ([24], 1)
    (report,) = orthanc.files("SR")
    assert pydicom.dcmread(pydicom.filebase.DicomBytesIO(report)).StudyInstanceUID == study.datasets[0].StudyInstanceUID
    assert len(orthanc.files("SEG")) == 4  # ED and ES, also as label maps


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ({"password": "wrong"}, "answered 401 Unauthorized"),
        ({"user": None, "password": None}, "answered 401 Unauthorized"),
        ({"ca": None}, "no TLS connection"),
        ({"certificate": None}, "127.0.0.1"),
    ],
)
def test_who_is_not_let_in(lacking, words, server, tmp_path):
    given = {name: getattr(server, name) for name in ("user", "password", "ca", "certificate")}
    stranger = WebServer(server.url, attempts=2, wait_s=0.01, **{**given, **lacking})
    with pytest.raises(NetworkError, match=words) as error:
        retrieve_study("1.2.3", stranger, tmp_path)
    assert PASSWORD not in str(error.value) and "wrong" not in str(error.value)
