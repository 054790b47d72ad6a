"""Sources of DICOM files: folders, lists, zips and media, with other files beside them."""

import os
import pickle
import shutil
import subprocess
import zipfile

import numpy as np
import pydicom
import pytest
from dicom_reading import refused
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from synthetic_dicom import Recipe, classic_study, decoys, instance, write

from cardiacseg.errors import DicomError, InvalidInputError
from cardiacseg.io.budget import Budget, Limits
from cardiacseg.io.dicom.read import list_groups, read_dicom

STUDY = classic_study(Recipe(slices=3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    for s in range(3):
        write(STUDY.datasets[s * 8 : s * 8 + 8], folder / f"series{2 - s}", shuffle=s)
    return folder


@pytest.fixture(scope="module")
def archive(folder):
    path = folder.parent / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for part in sorted(folder.rglob("IM*")):
            file.write(part, part.relative_to(folder))
    return path


def same(cine):
    np.testing.assert_array_equal(cine.image, STUDY.image)
    np.testing.assert_allclose(cine.geometry.affine_lps(), STUDY.geometry.affine_lps(), atol=1e-8)
    return True


def test_folder_zip_and_list_are_the_same(folder, archive, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert same(read_dicom(folder))
    assert same(read_dicom(str(folder)))
    assert same(read_dicom(archive))
    paths = sorted(folder.rglob("IM*"), key=lambda path: hash(path))
    assert same(read_dicom(paths))
    assert same(read_dicom([*paths, *paths[:4]])), "a path that is given twice is one file"
    assert same(read_dicom(sorted(folder.iterdir())))
    assert list(tmp_path.iterdir()) == [], "nothing is unpacked"


def test_names_are_those_below_the_input(folder, archive):
    for source in (folder, archive, sorted(folder.iterdir())):
        found = list_groups(source).groups[0].frames
        assert {frame.file.name for frame in found} == {f"series{s}/IM{n:04}" for s in range(3) for n in range(8)}


def write_directory(medium, identifiers):
    """A DICOMDIR with a record for each file; offsets between records, which readers here do not need, are absent."""
    made = instance(pydicom.Dataset(), MediaStorageDirectoryStorage, generate_uid())
    made.FileSetID, made.FileSetConsistencyFlag, made.DirectoryRecordSequence = "STUDY", 0, []
    for identifier in identifiers:
        record = pydicom.Dataset()
        record.DirectoryRecordType, record.RecordInUseFlag, record.ReferencedFileID = "IMAGE", 0xFFFF, identifier
        made.DirectoryRecordSequence.append(record)
    group = pydicom.Dataset()
    group.DirectoryRecordType, group.RecordInUseFlag = "PATIENT", 0xFFFF
    unused = pydicom.Dataset()
    unused.DirectoryRecordType, unused.RecordInUseFlag, unused.ReferencedFileID = "IMAGE", 0, ["GONE"]
    made.DirectoryRecordSequence += [group, unused]
    made.save_as(medium / "DICOMDIR", enforce_file_format=True)


@pytest.fixture
def medium(tmp_path):
    files = write(STUDY.datasets, tmp_path / "medium/IMAGES", shuffle=2)
    write_directory(tmp_path / "medium", [["IMAGES", path.name] for path in files])
    return tmp_path / "medium"


def test_dicomdir(medium):
    assert same(read_dicom(medium / "DICOMDIR"))
    assert same(read_dicom(medium)), "the directory itself is no image"
    assert list_groups(medium).files == {"files": 25, "mr_instances": 24, "other_dicom": 1}


@pytest.mark.skipif(shutil.which("dcmmkdir") is None, reason="dcmmkdir (dcmtk) is not installed")
def test_dicomdir_of_another_maker(medium):
    (medium / "DICOMDIR").unlink()
    subprocess.run(["dcmmkdir", "+r", "+I", "-Nrc"], cwd=medium, check=True, capture_output=True)
    assert same(read_dicom(medium / "DICOMDIR"))


def test_dicomdir_of_a_medium_copied_with_small_letters(medium):
    for path in sorted(medium.rglob("*"), key=lambda path: -len(path.parts)):
        if path.name != "DICOMDIR":
            path.rename(path.with_name(path.name.lower()))
    assert same(read_dicom(medium / "DICOMDIR"))


def test_dicomdir_with_a_file_missing(medium):
    next(path for path in sorted(medium.rglob("*")) if path.is_file() and path.name != "DICOMDIR").unlink()
    refused("E_MISSING_FILE", medium / "DICOMDIR", "24 files", "1 do not lie beside it")


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_dicomdir_that_leaves_its_medium(medium):
    (medium.parent / "outside").write_bytes(b"here")
    write_directory(medium, [["IMAGES", "IM0000"], ["..", "outside"]])
    refused("E_MISSING_FILE", medium / "DICOMDIR", "do not lie beside it")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_dicomdir_of_too_many_records(medium, syntax):
    """They are counted before they are parsed; a deflated directory is small on disk."""
    directory = pydicom.dcmread(medium / "DICOMDIR")
    directory.file_meta.TransferSyntaxUID = syntax
    directory.save_as(medium / "DICOMDIR", enforce_file_format=True)
    refused("E_TOO_LARGE", medium / "DICOMDIR", "at most 25 records in a DICOMDIR, got 26", budget=limited(records=25))
    refused("E_TOO_LARGE", medium / "DICOMDIR", "bytes", budget=limited(bytes=1500, part_bytes=1500))
    assert same(read_dicom(medium / "DICOMDIR", budget=limited(records=26)))


def test_damaged_dicomdir(medium):
    (medium / "DICOMDIR").write_bytes((medium / "DICOMDIR").read_bytes()[:300])
    refused("E_DAMAGED", medium / "DICOMDIR", "no readable DICOMDIR")


def test_other_files_are_skipped_and_counted(folder, tmp_path):
    for path in folder.rglob("IM*"):
        (tmp_path / f"{path.parent.name}{path.name}").write_bytes(path.read_bytes())
    (tmp_path / "notes.txt").write_text("nothing to see")
    (tmp_path / "empty").touch()
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4" + bytes(400))
    (tmp_path / "starts like one").write_bytes(b"\x08\x00" + bytes(range(200)))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    other = instance(pydicom.Dataset(), SecondaryCaptureImageStorage, generate_uid())
    other.save_as(tmp_path / "capture", enforce_file_format=True)
    cine = read_dicom(tmp_path)
    assert same(cine)
    assert cine.dicom.arrangement["files"] == {"files": 29, "mr_instances": 24, "not_dicom": 4, "other_dicom": 1}


@pytest.mark.parametrize("meta", [True, False])
def test_files_without_a_preamble(tmp_path, meta):
    for number, dataset in enumerate(STUDY.datasets):
        pydicom.dcmwrite(tmp_path / "with", dataset, enforce_file_format=True)
        content = (tmp_path / "with").read_bytes()[132:]
        length = 12 + int.from_bytes(content[8:12], "little")
        (tmp_path / f"{number}").write_bytes(content if meta else content[length:])
    (tmp_path / "with").unlink()
    assert same(read_dicom(tmp_path))


def test_copies_of_files_are_read_once(folder, tmp_path):
    for path in folder.rglob("IM*"):
        for copy in ("a", "b"):
            (tmp_path / f"{copy}{path.parent.name}{path.name}").write_bytes(path.read_bytes())
    cine = read_dicom(tmp_path)
    assert same(cine)
    assert [note.code for note in cine.notes] == ["N_SAME_INSTANCE"]
    assert cine.notes[0].text.startswith("24 images")


def test_nothing_there(tmp_path):
    refused("E_MISSING_FILE", tmp_path / "absent", "absent")
    refused("E_MISSING_FILE", [], "empty")
    refused("E_NO_DICOM", tmp_path, "0 files")
    (tmp_path / "text").write_text("nothing")
    refused("E_NO_DICOM", tmp_path / "text", "1 files")
    os.mkfifo(tmp_path / "pipe")
    refused("E_MISSING_FILE", tmp_path / "pipe", "neither")


def test_zip_of_other_things(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../escape", "text")
        file.writestr("zeros", bytes(50_000_000))
    assert list_groups(tmp_path / "other.zip").files == {"files": 2, "not_dicom": 2}
    refused("E_NO_DICOM", tmp_path / "other.zip")
    assert not (tmp_path.parent.parent / "escape").exists()


def limited(**limits):
    return Budget(Limits(**limits), dicom=True)


def test_zip_with_too_large_an_entry(archive):
    refused("E_TOO_LARGE", archive, "at most 5000 bytes in an entry .* series0/IM0000", budget=limited(part_bytes=5000))


def test_too_many_files(folder, archive):
    for source in (folder, archive):
        refused("E_TOO_LARGE", source, "at most 20 files", budget=limited(files=20))


def test_the_budget_is_of_the_whole_input(folder, archive):
    """Each file is small; together they are not."""
    size = sum(path.stat().st_size for path in folder.rglob("IM*"))
    for source in (folder, archive):
        refused("E_TOO_LARGE", source, f"at most {size // 2} bytes", budget=limited(bytes=size // 2))
        refused("E_TOO_LARGE", source, "at most 23 frames in one input", budget=limited(frames=23))
        refused("E_TOO_LARGE", source, "at most 1e-09 s of work", budget=limited(seconds=1e-9))
        assert same(read_dicom(source, budget=limited(bytes=4 * size, frames=24, files=25)))


def test_errors_of_a_limit():
    for budget, kind in ((Budget(Limits(bytes=10)), InvalidInputError), (limited(bytes=10), DicomError)):
        budget.take("bytes", 7, "a.nii")
        assert budget.left("bytes") == 3
        with pytest.raises(kind, match=r"^E_TOO_LARGE: .* at a\.nii$") as caught:
            budget.take("bytes", 4, "a.nii")
        assert caught.value.code == "E_TOO_LARGE" and type(caught.value) is kind
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (str(copy), copy.code) == (str(caught.value), "E_TOO_LARGE")
        assert budget.left("bytes") == 3


def test_zip_that_is_damaged(archive, tmp_path):
    content = bytearray(archive.read_bytes())
    content[2000:4000] = bytes(2000)
    (tmp_path / "damaged.zip").write_bytes(content)
    refused("E_ARCHIVE", tmp_path / "damaged.zip", "series0/IM0000 cannot be unpacked")
    central = content.rindex(b"PK\x01\x02")
    (tmp_path / "directory.zip").write_bytes(content[: central + 2] + b"??" + content[central + 4 :])
    refused("E_ARCHIVE", tmp_path / "directory.zip", "directory.zip cannot be unpacked")


def test_zip_that_is_encrypted(archive, tmp_path):
    content = bytearray(archive.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.index(mark)
        content[start + place] |= 1
    (tmp_path / "secret.zip").write_bytes(content)
    refused("E_ARCHIVE", tmp_path / "secret.zip", "series0/IM0000 is encrypted")


def localizer(name, keep):
    """The beginning of a localizer of another series; ``keep`` bytes, or to the attribute of that tag."""
    (image,) = decoys(Recipe(slices=3))[:1]
    image.save_as(name, enforce_file_format=True)
    content = name.read_bytes()
    name.write_bytes(content[: keep if isinstance(keep, int) else content.index(keep)])


@pytest.mark.parametrize("series", [None, "7001,8001,9001"])
@pytest.mark.parametrize(
    ("keep", "why"),
    [
        (b"\x28\x00\x10\x00", "they are not of the stack"),  # to Rows: its kind and its series are known
        (132, "the stack has its slices without them"),  # DICM alone
        (300, "the stack has its slices without them"),
    ],
)
def test_a_damaged_file_beside_the_stack(folder, tmp_path, series, keep, why):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    localizer(tmp_path / "damaged", keep)
    cine = read_dicom(tmp_path, series=series)
    assert same(cine)
    assert [note.code for note in cine.notes] == ["N_DAMAGED_FILE"]
    assert f"left out: 1; {why} (first: damaged " in cine.notes[0].text
    assert len(list_groups(tmp_path).damaged) == 1


@pytest.mark.parametrize("keep", [132, 300, 1200])
def test_a_damaged_file_of_the_stack(tmp_path, keep):
    path = write(classic_study(Recipe(frames=9, slices=3)).datasets, tmp_path)[3]
    path.write_bytes(path.read_bytes()[:keep])
    refused("E_TRUNCATED", tmp_path, "IM0003")
    cine = read_dicom(tmp_path, nearest_phase=True)
    assert cine.image.shape[:2] == (9, 3)
    assert [note.code for note in cine.notes] == ["N_DAMAGED_FILE", "N_NEAREST_PHASE"]


def test_as_many_damaged_files_as_a_slice_may_be_one(folder, tmp_path):
    """The last slice is lost: what is left is even, has equal phases, and must not be taken for the whole."""
    study = classic_study(Recipe(slices=4))
    paths = write(study.datasets, tmp_path)
    for path in paths[-8:]:
        path.write_bytes(path.read_bytes()[:300])
    refused("E_TRUNCATED", tmp_path, "IM0024")
    for path in paths[-8:]:
        path.unlink()
    assert read_dicom(tmp_path).image.shape[1] == 3


def test_nothing_but_damaged_files(folder, tmp_path):
    localizer(tmp_path / "damaged", 200)
    refused("E_TRUNCATED", tmp_path, "damaged")


def test_a_damaged_entry_of_any_compression(folder, tmp_path):
    for way in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "study.zip", "w", way) as file:
            file.write(folder / "series0/IM0000", "IM0000")
            start = file.getinfo("IM0000")
        content = bytearray((tmp_path / "study.zip").read_bytes())
        for place in range(start.header_offset + 40, start.header_offset + start.compress_size, 7):
            content[place] ^= 0x5A
        (tmp_path / "study.zip").write_bytes(content)
        refused("E_ARCHIVE", tmp_path / "study.zip", "IM0000 cannot be unpacked")
