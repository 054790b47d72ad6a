"""A study through a real Orthanc: in by our sender, out to our receiver, results back in, and out again identical."""

import threading
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_nodes import captured_log, storescu, wait_until
from orthanc import own_network, running_orthanc
from synthetic_dicom import SECRETS, Recipe, classic_study, write

from cardiacseg.io.dicom.read import read_dicom
from cardiacseg.io.dicom_results import DicomResultOptions, write_dicom_results
from cardiacseg.network.destinations import CommitmentOptions
from cardiacseg.network.options import ReceiverOptions
from cardiacseg.network.receive import Receiver
from cardiacseg.network.send import send
from cardiacseg.study.segment import StudyOptions, measured

CINE_STUDY = Path(__file__).parents[3] / "shared/dicom/cine_study"
WAIT_S = 120.0


def rings(image):
    """Labels that look like a heart, in the middle of each slice: LV, MYO around it, RV beside it."""
    rows, columns = np.ogrid[: image.shape[2], : image.shape[3]]
    y, x = rows - image.shape[2] / 2, columns - image.shape[3] / 2
    unit = image.shape[2] / 20
    from_lv, from_rv = np.hypot(y, x), np.hypot(y, x + 4 * unit)
    one = np.select([from_lv < 2 * unit, from_lv < 3 * unit, from_rv < 2 * unit], [3, 2, 1], 0).astype(np.uint8)
    labels = np.broadcast_to(one, image.shape).copy()
    labels[1, :, image.shape[2] // 2 :] = 0  # smaller in the second phase
    return labels


def make_results(study, output):
    """The real reader, measurements and writer, with `rings` instead of a network."""
    cine = read_dicom(study)
    segmented = measured(cine, rings(cine.image), StudyOptions(), "Short-axis cine")
    names = write_dicom_results(output, segmented, DicomResultOptions(labelmap=True, rtstruct=True))
    return [output / name for name in names]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    with own_network(), running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def study(tmp_path, orthanc):
    orthanc.delete_all()
    recipe = Recipe(frames=8, slices=3, size=(40, 44))
    write(classic_study(recipe).datasets, tmp_path / "study")
    return tmp_path / "study"


def by_instance(files):
    datasets = [pydicom.dcmread(pydicom.filebase.DicomBytesIO(content)) for content in files]
    return {dataset.SOPInstanceUID: dataset for dataset in datasets}


def assert_stored(orthanc, files):
    """That Orthanc gives back each of these files: the same dataset, pixel data and transfer syntax."""
    expected = by_instance(path.read_bytes() for path in files)
    found = by_instance(
        content for kind in {one.Modality for one in expected.values()} for content in orthanc.files(kind)
    )
    assert set(found) == set(expected)
    for uid, dataset in expected.items():
        assert found[uid] == dataset
        assert found[uid].get("PixelData") == dataset.get("PixelData")
        assert found[uid].file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID


def test_study_and_results_come_back_identical(study, tmp_path, orthanc):
    send(study, orthanc.peer)
    assert_stored(orthanc, sorted(study.iterdir()))
    (tmp_path / "results").mkdir()
    results = make_results(study, tmp_path / "results")
    assert {path.name for path in results} >= {"sr.dcm", "rtstruct.dcm"}
    report = send(tmp_path / "results", orthanc.peer)
    assert (report.sent, report.warnings) == (len(results), ())
    assert_stored(orthanc, results)


def receive_and_return(orthanc, tmp_path, route):
    """Runs our receiver while ``route`` makes Orthanc send to it; gives the folder of results that was kept."""
    called = threading.Event()

    def segment(folder, output, notes):
        called.set()
        return make_results(folder, output), notes

    options = ReceiverOptions(
        port=orthanc.sdk_port,
        idle_s=1,
        peer=orthanc.peer,
        results=tmp_path / "kept",
        spool=tmp_path / "spool",
        commitment=CommitmentOptions("require"),
    )
    with Receiver(segment, options):
        route()
        assert called.wait(WAIT_S)
        wait_until(lambda: not list((tmp_path / "spool/studies").iterdir()), WAIT_S)  # Orthanc has confirmed it
    (kept,) = (tmp_path / "kept").iterdir()
    return kept


def test_a_routed_study_returns_with_results(study, tmp_path, orthanc):
    send(study, orthanc.peer)
    with captured_log() as log:
        kept = receive_and_return(orthanc, tmp_path, lambda: orthanc.route_to_sdk())
    assert_stored(orthanc, sorted(kept.iterdir()))
    assert not [line for line in log.lines if any(secret in line for secret in SECRETS)]
    assert not list((tmp_path / "spool").iterdir())


def test_a_real_study_by_storescu(tmp_path, orthanc):
    if not CINE_STUDY.is_dir():
        pytest.skip("shared/dicom/cine_study is not there")
    orthanc.delete_all()
    sent = storescu(orthanc.peer, CINE_STUDY)
    assert sent.returncode == 0 and not sent.stderr, sent.stderr
    answers = []
    kept = receive_and_return(orthanc, tmp_path, lambda: answers.append(orthanc.route_to_sdk()))
    assert (answers[0]["InstancesCount"], answers[0]["FailedInstancesCount"]) == (275, 0)
    assert_stored(orthanc, sorted(kept.iterdir()))
    (segmentation,) = [one for one in by_instance(orthanc.files("SEG")).values() if one.InstanceNumber == 1][:1]
    assert (segmentation.Rows, segmentation.Columns) == (208, 256)
