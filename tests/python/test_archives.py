"""Zips, tars and compressed files: told by content, read within a budget, in memory, one inside of another."""

import gzip
import io
import shutil
import tarfile
import zipfile

import nibabel
import numpy as np
import pytest
from dicom_reading import refused
from synthetic_dicom import Recipe, classic_study, write

from cardiacseg.errors import InvalidInputError
from cardiacseg.io import read_cine
from cardiacseg.io.budget import Budget, Limits
from cardiacseg.io.dicom.read import list_groups, read_dicom
from cardiacseg.io.file_kind import kind_of

STUDY = classic_study(Recipe(slices=3, size=(32, 40)))
IMAGE = np.arange(60, dtype=np.int16).reshape(4, 5, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write(STUDY.datasets, folder, shuffle=1)
    return folder


def limited(**limits):
    return Budget(Limits(**limits), dicom=True)


def zipped(path, files, way=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", way) as archive:
        for file in files:
            archive.write(file, file.name)
    return path


def tarred(path, files, way="w"):
    with tarfile.open(path, way) as archive:
        for file in files:
            archive.add(file, f"../{file.name}")
    return path


def of_study(folder):
    return sorted(folder.glob("IM*"))


def in_a_zip(folder, out):
    return zipped(out / "outer.bin", [zipped(out / "inner", of_study(folder))], zipfile.ZIP_STORED)


def tar_in_a_zip(folder, out):
    return zipped(out / "outer.zip", [tarred(out / "inner", of_study(folder))])


def compressed_tar_in_a_zip(folder, out):
    return zipped(out / "outer.zip", [tarred(out / "inner", of_study(folder), "w:gz")])


def zip_in_a_folder(folder, out):
    zipped(out / "export", of_study(folder)[:10])
    return zipped(out / "export (1)", of_study(folder)[10:]).parent


def tar_in_a_folder(folder, out):
    return tarred(out / "export.tgz", of_study(folder), "w:gz").parent


def compressed_files(folder, out):
    for file in of_study(folder):
        (out / f"{file.name}.dcm.gz").write_bytes(gzip.compress(file.read_bytes()))
    return out


def some_compressed_files(folder, out):
    compressed_files(folder, out)
    for file in of_study(folder)[:5]:
        (out / f"{file.name}.dcm.gz").unlink()
        shutil.copy(file, out)
    return out


def tars(way):
    def of_way(folder, out):
        return tarred(out / "study", of_study(folder), way)

    return of_way


WAYS = [in_a_zip, tar_in_a_zip, compressed_tar_in_a_zip, zip_in_a_folder, tar_in_a_folder, compressed_files]
WAYS += [some_compressed_files, *map(tars, ("w", "w:gz", "w:bz2", "w:xz"))]


@pytest.mark.parametrize("pack", WAYS)
def test_a_study_in_an_archive(folder, tmp_path, monkeypatch, pack):
    (tmp_path / "in").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    path = pack(folder, tmp_path / "in")
    before = sorted(tmp_path.rglob("*"))
    cine = read_cine(path)
    np.testing.assert_array_equal(cine.image, STUDY.image)
    assert cine.notes == ()
    assert sorted(tmp_path.rglob("*")) == before, "nothing is unpacked"


def test_kinds(folder, tmp_path):
    assert kind_of(in_a_zip(folder, tmp_path)) == "zip"
    for way in ("w", "w:gz", "w:xz"):
        assert kind_of(tars(way)(folder, tmp_path)) == "tar"
    compressed_files(folder, tmp_path)
    assert kind_of(tmp_path / "IM0003.dcm.gz") == "dicom"


def test_beside_dicom_files_an_archive_stays_closed(folder, tmp_path):
    """It holds something else, or the same again."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    other = write(classic_study(Recipe(slices=3, size=(32, 40), seed=1)).datasets, tmp_path / "other")
    zipped(tmp_path / "other.zip", other)
    shutil.rmtree(tmp_path / "other")
    cine = read_dicom(tmp_path)
    np.testing.assert_array_equal(cine.image, STUDY.image)
    assert cine.dicom.arrangement["files"] == {"files": 25, "mr_instances": 24, "not_dicom": 1}
    refused("E_AMBIGUOUS_SAX", [tmp_path / "other.zip", *of_study(tmp_path)])


def test_an_archive_deep_inside_stays_closed(folder, tmp_path):
    path = in_a_zip(folder, tmp_path)
    refused("E_NO_DICOM", zipped(tmp_path / "third.zip", [path]))


def test_links_of_a_tar_are_no_files(folder, tmp_path):
    path = tarred(tmp_path / "study.tar", of_study(folder))
    with tarfile.open(path, "a") as archive:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../IM0000"), (tarfile.FIFOTYPE, "")):
            link = tarfile.TarInfo("link")
            link.type, link.linkname = kind, target
            archive.addfile(link)
    assert list_groups(path).files == {"files": 24, "mr_instances": 24}


@pytest.mark.parametrize("pack", WAYS)
def test_damaged_archives(folder, tmp_path, pack):
    path = pack(folder, tmp_path)
    for file in [path] if path.is_file() else list(path.iterdir()):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InvalidInputError) as caught:
        read_dicom(path)
    assert caught.value.code in ("E_ARCHIVE", "E_TRUNCATED", "E_NO_DICOM", "E_DAMAGED")


def test_an_encrypted_archive(tmp_path):
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("IM1", "x")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flags of the file, there and in the archive's directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused("E_ARCHIVE", path, "IM1 is encrypted; expected an archive without a password")


def test_a_damaged_archive_in_a_folder_is_named(folder, tmp_path):
    path = zip_in_a_folder(folder, tmp_path)
    (path / "export").write_bytes((path / "export").read_bytes()[:-300])
    refused("E_ARCHIVE", path, "export cannot be unpacked")


def test_no_more_than_headers_is_unpacked_of_what_is_not_chosen(tmp_path):
    study = classic_study(Recipe(slices=3))
    for dataset in study.datasets[8:]:
        dataset.PixelData = bytes(4_000_000)
        dataset.Rows = dataset.Columns = 1000
        dataset.Rows *= 2
    path = zipped(tmp_path / "large.zip", write(study.datasets, tmp_path / "study"))
    budget = limited()
    assert len(list_groups(path, budget=budget).groups) == 2
    assert budget.limits.bytes - budget.left("bytes") < 2_000_000


def test_a_compressed_tar_is_read_forward(folder, tmp_path, monkeypatch):
    """Names in another order than places: each pass over the files unpacks once."""
    opened = []

    class Counted(gzip.GzipFile):
        def __init__(self, **options):
            opened.append(options)
            super().__init__(**options)

    path = tarred(tmp_path / "study.tar.gz", of_study(folder)[::-1], "w:gz")
    monkeypatch.setattr(gzip, "GzipFile", Counted)
    np.testing.assert_array_equal(read_dicom(path).image, STUDY.image)
    assert len(opened) < 8


@pytest.mark.parametrize("inside", [False, True])
def test_bombs(folder, tmp_path, inside):
    """A little file that unpacks to a lot is given up at the limit, whatever it claims to be."""
    head = of_study(folder)[0].read_bytes()
    file = tmp_path / "IM0000"
    file.write_bytes(head[: head.index(b"\xe0\x7f\x10\x00") + 8] + b"\xf0\xff\xff\x00" + bytes(0xFFFFF0))
    gz = tmp_path / "bomb.dcm.gz"
    gz.write_bytes(gzip.compress(file.read_bytes()))
    for path in (zipped(tmp_path / "bomb.zip", [file]), tarred(tmp_path / "bomb.tar.gz", [file], "w:gz"), gz):
        path = zipped(tmp_path / "outer.zip", [path]) if inside else path
        for limits in ({"bytes": 2_000_000}, {"part_bytes": 1_000_000}):
            if path.name == "bomb.tar.gz" or limits.get("bytes"):
                limits = {"bytes": 2_000_000}
            refused("E_TOO_LARGE", path, series="g1", budget=limited(**limits))


def nifti(path, **options):
    nibabel.save(nibabel.Nifti1Image(IMAGE, np.diag([-1.4, -1.5, 8, 1])), path, **options)
    return path


@pytest.mark.parametrize("name", ["cine.nii", "cine.nii.gz"])
@pytest.mark.parametrize("pack", [zipped, tarred, lambda path, files: tarred(path, files, "w:gz")])
def test_one_nifti_file_in_an_archive(tmp_path, name, pack):
    (tmp_path / "read me.txt").write_text("nothing")
    path = pack(tmp_path / "download", [tmp_path / "read me.txt", nifti(tmp_path / name)])
    cine = read_cine(path)
    np.testing.assert_array_equal(cine.image[0], IMAGE.T)
    assert cine.path == path and cine.nifti is not None
    with pytest.raises(InvalidInputError, match="no series"):
        read_cine(path, series="1")


def test_several_nifti_files_in_an_archive(tmp_path):
    files = [nifti(tmp_path / f"{number}.nii.gz") for number in range(7)]
    with pytest.raises(InvalidInputError, match=r"got 7 \(0.nii.gz, 1.nii.gz, .*, \.\.\.\); give one of them"):
        read_cine(zipped(tmp_path / "all.zip", files))


def test_a_damaged_nifti_file_in_an_archive(tmp_path):
    file = nifti(tmp_path / "cine.nii")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InvalidInputError, match=r"cine.nii in .*cut short"):
        read_cine(zipped(tmp_path / "cut.zip", [file]))
    content = io.BytesIO(zipped(tmp_path / "damaged.zip", [nifti(tmp_path / "cine.nii")]).read_bytes())
    content.seek(80)
    content.write(b"\x5a" * 8)
    (tmp_path / "damaged.zip").write_bytes(content.getvalue())
    with pytest.raises(InvalidInputError, match=r"E_ARCHIVE: cine\.nii cannot be unpacked"):
        read_cine(tmp_path / "damaged.zip")
