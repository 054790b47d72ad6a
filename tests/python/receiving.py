"""A receiver of the tests, and a small `segment` for it."""

import copy
import threading
from contextlib import contextmanager

import pydicom
from made_up_dicom import Recipe, classic_study, write
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from cardiacseg.network.peer import Peer
from cardiacseg.network.receive import Receiver, ReceiverOptions

WAIT_S = 60.0


def result_uid(dataset):
    return generate_uid(entropy_srcs=[dataset.SOPInstanceUID])


class Threshold:
    """Marks bright pixels of each file of a study: a real, small `segment` whose results say what they came from."""

    def __init__(self):
        self.studies = []
        self.notes = []
        self.called = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.may_end.set()
        self.error = None

    def __call__(self, study, output, notes):
        files = sorted(study.iterdir())
        self.notes.append([(note.code, note.text) for note in notes])
        self.studies.append([pydicom.dcmread(path) for path in files])
        self.called.release()
        assert self.may_end.wait(WAIT_S)
        if self.error:
            raise self.error
        studies = enumerate(self.studies[-1])
        return [self._result(dataset, output / f"seg-{place}.dcm") for place, dataset in studies], notes

    def _result(self, dataset, path):
        result = pydicom.Dataset()
        result.update({one.tag: copy.copy(one) for one in dataset if one.tag.group in (8, 16, 32, 40)})
        result.file_meta = pydicom.dataset.FileMetaDataset()
        result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        result.SOPInstanceUID = result.file_meta.MediaStorageSOPInstanceUID = result_uid(dataset)
        result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
        result.PixelData = (dataset.pixel_array > 300).astype("<u2").tobytes()
        result.save_as(path, enforce_file_format=True)
        return path


@contextmanager
def receiving(segment, tmp_path, **options):
    settings = {"port": 0, "idle_s": 0.3, "spool": tmp_path / "spool", "results": tmp_path / "results", **options}
    settings["spool"].mkdir(exist_ok=True)
    with Receiver(segment, ReceiverOptions(**settings)) as receiver:
        yield Peer("CARDIACSEG", "127.0.0.1", receiver.port)
    assert not list(settings["spool"].iterdir())
    assert not [thread for thread in threading.enumerate() if "cardiacseg" in thread.name]


def made_up(tmp_path, seed=0):
    made = classic_study(Recipe(frames=2, slices=2, size=(32, 36), seed=seed))
    write(made.datasets, tmp_path / f"study{seed}")
    return made, tmp_path / f"study{seed}"


def uids(datasets):
    return {dataset.SOPInstanceUID for dataset in datasets}


def segment_left(tmp_path):
    """Waits until the study's files are gone."""
    (spool,) = (tmp_path / "spool").iterdir()
    for _ in range(600):
        if not list(spool.iterdir()):
            return
        threading.Event().wait(0.1)
    raise AssertionError("the study's files are still there")
