"""The library call that reads any cine: what a file is, its content says."""

import gzip
import logging
import subprocess
import sys
import threading
import warnings
import zipfile

import nibabel
import numpy as np
import pytest

from cardiacseg.errors import DicomError, InvalidInputError
from cardiacseg.io import Cine, read_cine, write_labels
from cardiacseg.io.file_kind import kind_of
from cardiacseg.io.log_suppression import suppress_logs
from cardiacseg.io.nifti import read_labels

IMAGE = np.arange(60, dtype=np.int16).reshape(4, 5, 3)


def nifti_bytes(kind=nibabel.Nifti1Image):
    return kind(IMAGE, np.diag([-1.4, -1.5, 8, 1])).to_bytes()


CONTENTS = {
    "cine.nii": (nifti_bytes(), "nifti"),
    "cine.nii.gz": (gzip.compress(nifti_bytes()), "nifti"),
    "second.img": (nifti_bytes(nibabel.Nifti2Image), "nifti"),
    "no_ending": (nifti_bytes(), "nifti"),
    "broken.nii.gz": (b"not an image", "nifti"),
    "IM0001": (bytes(128) + b"DICM", "dicom"),
    "looks.nii": (bytes(128) + b"DICM", "dicom"),
    "old_dicom": (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", "dicom"),
    "study.bin": (b"PK\x03\x04", "zip"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_kinds(tmp_path, name):
    content, kind = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name) == kind


def test_what_is_neither(tmp_path):
    assert kind_of(tmp_path) == "folder"
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, complaint in (("picture.png", "neither NIfTI nor DICOM"), ("missing", "does not exist")):
        with pytest.raises(InvalidInputError, match=f"{name} .*{complaint}"):
            read_cine(tmp_path / name)


def test_nifti(tmp_path):
    (tmp_path / "cine.nii").write_bytes(nifti_bytes())
    cine = read_cine(str(tmp_path / "cine.nii"), nearest_phase=True, latest_retake=True)
    assert isinstance(cine, Cine) and cine.dicom is None
    np.testing.assert_array_equal(cine.image[0], IMAGE.T)
    write_labels(tmp_path / "labels.nii", (cine.image % 4).astype(np.uint8), cine)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "labels.nii").dataobj), IMAGE % 4)
    with pytest.raises(InvalidInputError, match="no series"):
        read_cine(tmp_path / "cine.nii", series="7001")


def test_dicom_and_its_nifti_twin_give_one_array(tmp_path):
    """Written as dcm2niix writes, rows from the bottom up, a DICOM cine comes back as the same array and grid."""
    from synthetic_dicom import Recipe, classic_study, write

    study = classic_study(Recipe(frames=8, slices=4, size=(32, 40)))
    write(study.datasets, tmp_path / "study")
    dicom = read_cine(tmp_path / "study")
    assert dicom.nifti is None and dicom.dicom is not None
    np.testing.assert_array_equal(dicom.image, study.image)
    affine = dicom.geometry.affine_ras()
    affine[:3, 3] += affine[:3, 1] * (dicom.geometry.size[1] - 1)
    affine[:3, 1] *= -1
    nibabel.save(nibabel.Nifti1Image(dicom.image.T[:, ::-1], affine), tmp_path / "twin.nii.gz")
    twin = read_cine(tmp_path / "twin.nii.gz")
    np.testing.assert_array_equal(twin.image, dicom.image)
    np.testing.assert_allclose(twin.geometry.affine_lps(), dicom.geometry.affine_lps(), atol=1e-3)
    assert twin.spacing == pytest.approx(dicom.spacing, rel=1e-5)


def test_folders_and_zips_without_dicom(tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as file:
        file.writestr("notes.txt", "nothing")
    (tmp_path / "folder").mkdir()
    for name in ("empty.zip", "folder"):
        with pytest.raises(DicomError):
            read_cine(tmp_path / name)


def test_without_pydicom_the_extra_is_named(tmp_path):
    """In a process in which importing pydicom fails as if it were not installed."""
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM")
    program = (
        "import sys; sys.modules['pydicom'] = None\n"
        "from cardiacseg.errors import InvalidInputError\nfrom cardiacseg.io import read_cine\n"
        "try: read_cine(sys.argv[1])\nexcept InvalidInputError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "IM0001"], capture_output=True, text=True, timeout=60
    )
    assert 'pip install "cardiacseg[dicom]"' in run.stdout, run.stderr


def save(path, voxels, affine=(-1.4, -1.5, 8, 1), move=0.0):
    matrix = np.diag(affine).astype(float)
    matrix[0, 3] = move
    nibabel.save(nibabel.Nifti1Image(voxels, matrix), path)
    return path


def test_frames_in_files_of_their_own_are_one_cine(tmp_path):
    first, second = save(tmp_path / "ed.nii.gz", IMAGE), save(tmp_path / "es.nii.gz", 2 * IMAGE.astype(np.float32))
    cine = read_cine([first, second])
    assert cine.image.shape == (2, 3, 5, 4) and cine.files == (first, second)
    np.testing.assert_array_equal(cine.image[1], 2 * cine.image[0])
    np.testing.assert_array_equal(cine.image[:1], read_cine(first).image)
    assert cine.timing.frame_times_ms is None
    assert [note.code for note in cine.notes] == ["nifti_frames"]
    labels = np.zeros(cine.image.shape, np.uint8)
    labels[1, 2, 4, 1] = 3
    write_labels(tmp_path / "labels.nii.gz", labels, cine)
    written = nibabel.load(tmp_path / "labels.nii.gz")
    assert written.shape == (4, 5, 3, 2)
    np.testing.assert_array_equal(written.affine, nibabel.load(first).affine)
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii.gz", cine.geometry, 2), labels)


@pytest.mark.parametrize(
    ("voxels", "more", "sentence"),
    [
        (IMAGE[1:], {}, "another grid"),
        (IMAGE, {"affine": (-1.4, -1.5, 9, 1)}, "another grid"),
        (IMAGE, {"move": 1.0}, "another grid"),
        (np.stack([IMAGE, IMAGE + 1], axis=3), {}, "expected one frame of a cine, got 2"),
        (IMAGE % 4, {}, "holds labels"),
    ],
)
def test_frames_that_do_not_belong_together_are_refused(tmp_path, voxels, more, sentence):
    first, second = save(tmp_path / "ed.nii.gz", IMAGE), save(tmp_path / "es.nii.gz", voxels, **more)
    with pytest.raises(InvalidInputError, match=rf"es\.nii\.gz.*{sentence}"):
        read_cine([first, second])


def test_a_series_of_frames_in_files_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="no series"):
        read_cine([save(tmp_path / "ed.nii.gz", IMAGE)], series="3")


@pytest.mark.parametrize("first_out", [0, 1])
def test_two_threads_are_quiet_until_the_last_one_leaves(first_out, caplog):
    name = f"{__name__}.reader"  # other tests set the level of the readers' own loggers
    logger, leave = logging.getLogger(name), [threading.Event(), threading.Event()]
    inside, filters = threading.Barrier(3), list(warnings.filters)

    def read(number):
        with suppress_logs(name):
            inside.wait(30)
            leave[number].wait(30)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(30)
    for number in (first_out, 1 - first_out):
        with warnings.catch_warnings(record=True) as seen:
            warnings.warn("a patient's value", stacklevel=1)
            logger.error("a patient's value")
        assert (seen, caplog.records) == ([], [])
        leave[number].set()
        threads[number].join(30)
    assert list(warnings.filters) == filters and not logger.disabled
    logger.error("nothing of a patient")
    assert len(caplog.records) == 1
