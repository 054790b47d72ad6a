"""NIfTI files: one or two, in memory or on disk, compressed or not, whatever the name; damaged and hostile ones."""

import bz2
import gzip
import re
import resource
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cardiacseg.errors import InvalidInputError
from cardiacseg.io import read_cine
from cardiacseg.io.budget import Budget, Limits
from cardiacseg.io.nifti import read_nifti, write_labels

AFFINE = np.diag([-1.5, -1.25, 8.0, 1.0])
VOXELS = np.random.default_rng(1).integers(0, 999, (6, 5, 4, 7), dtype=np.int16)
SMALL_AFFINE = np.diag([-1.4, -1.5, 8.0, 1.0])


def image_of(voxels=VOXELS, kind=nibabel.Nifti1Image, interval=100.0, affine=AFFINE):
    image = kind(voxels, affine)
    image.set_sform(affine, 1)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = interval
    return image


PLAIN = image_of().to_bytes()


def codes(cine):
    return [note.code for note in cine.notes]


def labels_come_back(cine, folder, voxels=VOXELS):
    """Labels of the cine, which are its values modulo 4, on the file's own axes."""
    write_labels(folder / "labels.nii.gz", (cine.image % 4).astype(np.uint8), cine)
    written = nibabel.load(folder / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), voxels % 4)
    np.testing.assert_array_equal(written.affine, AFFINE)
    return True


NAMES = {
    "gzip.nii": gzip.compress(PLAIN),
    "plain.nii.gz": PLAIN,
    "gzip": gzip.compress(PLAIN),
    "copy.nii(1).gz": gzip.compress(PLAIN),
    "twice.nii.gz": gzip.compress(gzip.compress(PLAIN)),
    "bzip2.nii": bz2.compress(PLAIN),
    "appended.nii.gz": gzip.compress(PLAIN) + b"something else",
}


@pytest.mark.parametrize("name", NAMES)
def test_content_goes_before_the_name(tmp_path, name):
    (tmp_path / name).write_bytes(NAMES[name])
    cine = read_nifti(tmp_path / name)
    np.testing.assert_array_equal(cine.image, VOXELS.T)
    assert codes(cine) == []
    assert labels_come_back(cine, tmp_path)
    held = read_nifti(tmp_path / "archive.zip", held=NAMES[name], name=f"archive.zip: {name}")
    np.testing.assert_array_equal(held.image, VOXELS.T)


def test_bytes_that_are_damaged_are_named_as_the_caller_does(tmp_path):
    with pytest.raises(InvalidInputError, match=r"^archive\.zip: a\.nii"):
        read_nifti(tmp_path / "archive.zip", held=PLAIN[:900], name="archive.zip: a.nii")


@pytest.mark.parametrize("layers", [3, 4])
def test_what_is_compressed_again_and_again_is_refused(tmp_path, layers):
    content = PLAIN
    for _ in range(layers):
        content = gzip.compress(content)
    (tmp_path / "many.nii.gz").write_bytes(content)
    with pytest.raises(InvalidInputError, match="compressed twice and large, or more than twice"):
        read_nifti(tmp_path / "many.nii.gz")


def test_a_bomb_in_a_second_compression_is_not_unpacked(tmp_path):
    inside = gzip.compress(PLAIN[:100]) + bytes(64 << 20)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(inside))
    with pytest.raises(InvalidInputError, match="compressed twice and large, or more than twice"):
        read_nifti(tmp_path / "bomb.nii.gz")


def test_a_wrong_checksum_is_found(tmp_path):
    content = bytearray(gzip.compress(PLAIN))
    content[-8] ^= 1
    (tmp_path / "in.nii.gz").write_bytes(content)
    with pytest.raises(InvalidInputError, match="CRC check failed"):
        read_nifti(tmp_path / "in.nii.gz")


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("endings", [(".hdr", ".img"), (".hdr.gz", ".img.gz")])
def test_pairs_by_either_name(tmp_path, kind, endings):
    image_of(kind=kind).to_filename(tmp_path / f"in{endings[1]}")
    for ending in endings:
        cine = read_cine(tmp_path / f"in{ending}")
        np.testing.assert_array_equal(cine.image, VOXELS.T)
        assert labels_come_back(cine, tmp_path)


@pytest.mark.parametrize(("kept", "missing"), [(".hdr", ".img"), (".img", ".hdr")])
def test_half_a_pair_names_the_other(tmp_path, kept, missing):
    image_of(kind=nibabel.Nifti1Pair).to_filename(tmp_path / "in.img")
    (tmp_path / f"in{missing}").unlink()
    with pytest.raises(InvalidInputError, match=rf"in\{kept} .*expected the file \{missing} of the pair"):
        read_nifti(tmp_path / f"in{kept}")


def test_analyze_is_refused(tmp_path):
    (tmp_path / "in.nii").write_bytes(PLAIN[:344] + bytes(4) + PLAIN[348:])
    with pytest.raises(InvalidInputError, match="is an Analyze file"):
        read_nifti(tmp_path / "in.nii")


@pytest.mark.parametrize(
    ("shape", "notes"),
    [((6, 5, 4, 7, 1), []), ((6, 5, 4, 1, 7), ["nifti_frames_axis"]), ((6, 5, 4, 1, 1, 7), ["nifti_frames_axis"])],
)
def test_axes_of_one_are_no_axes(tmp_path, shape, notes):
    image_of(VOXELS.reshape(shape)).to_filename(tmp_path / "in.nii")
    cine = read_nifti(tmp_path / "in.nii")
    np.testing.assert_array_equal(cine.image, VOXELS.T)
    assert codes(cine) == notes
    assert cine.timing.frame_times_ms[1] == 100
    assert labels_come_back(cine, tmp_path, VOXELS.reshape(shape))


def test_the_values_of_a_vector_are_no_frames(tmp_path):
    image_of(VOXELS[..., :3].reshape(6, 5, 4, 1, 3)).to_filename(tmp_path / "in.nii")
    with pytest.raises(InvalidInputError, match="3 values for each voxel on axis 5"):
        read_nifti(tmp_path / "in.nii")


def patched(place, form, *values):
    content = bytearray(PLAIN)
    struct.pack_into("<" + form, content, place, *values)
    return bytes(content)


def test_a_header_that_hides_frames_is_refused(tmp_path):
    for name, content in (("a.nii", patched(40, "h", 3)), ("a.nii.gz", gzip.compress(patched(40, "h", 3)))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"dim\[0\] counts 3 axes, .* the file holds 7 such images"):
            read_nifti(tmp_path / name)
    padded = 352 + VOXELS[..., 0].nbytes + 200
    (tmp_path / "a.nii").write_bytes(patched(40, "h", 3)[:padded])  # a length that was left behind, and some bytes
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii").image, VOXELS.T[:1])


def test_without_an_offset_voxels_begin_behind_the_header(tmp_path):
    (tmp_path / "in.nii").write_bytes(patched(108, "f", 0.0))
    cine = read_nifti(tmp_path / "in.nii")
    np.testing.assert_array_equal(cine.image, VOXELS.T)
    assert codes(cine) == ["nifti_no_offset"]


def test_large_scaled_values_keep_their_digits(tmp_path):
    image = image_of((1 << 28) + VOXELS.astype(np.int32))
    image.header.set_slope_inter(0.5, -(1 << 27))
    image.header.set_data_dtype(np.int32)
    content = bytearray(image.to_bytes())
    content[352:] = ((1 << 28) + VOXELS.astype(np.int32)).tobytes(order="F")
    struct.pack_into("<2f", content, 112, 0.5, -(1 << 27))
    (tmp_path / "in.nii").write_bytes(content)
    cine = read_nifti(tmp_path / "in.nii")
    assert cine.image.dtype == np.float32
    np.testing.assert_array_equal(cine.image, VOXELS.T / 2)


@pytest.mark.parametrize("shape", [(3000, 700, 2, 2), (300, 100, 40, 3), (3, 2, 2, 5000), (8192, 300, 1, 2)])
def test_files_of_several_parts(tmp_path, shape):
    """Of planes, rows, frames or a row larger than what is read at a time, along another axis than the array's."""
    voxels = np.random.default_rng(0).integers(0, 200, shape, dtype=np.uint8)
    image_of(voxels, nibabel.Nifti2Image, affine=np.diag([8.0, 1.4, 1.4, 1])).to_filename(tmp_path / "in.nii")
    cine = read_nifti(tmp_path / "in.nii")
    file = cine.nifti.orientation.to_file(cine.image)
    np.testing.assert_array_equal(file, voxels)


def test_compressed_bytes_that_unpack_to_nothing_take_of_the_time(tmp_path):
    members = gzip.compress(b"") * 2_000_000
    with pytest.raises(InvalidInputError, match=r"E_TOO_LARGE: expected at most 0\.5 s of work"):
        read_nifti(tmp_path / "in.zip", held=members + gzip.compress(PLAIN), budget=Budget(Limits(seconds=0.5)))


def test_the_docs_have_every_note():
    root = Path(__file__).parents[2]
    sources = [path.read_text() for path in (root / "python/cardiacseg/io").glob("*.py")]
    in_code = {code for text in sources for code in re.findall(r'"(nifti_[a-z_]+)"', text)}
    in_docs = set(re.findall(r"^\| `(nifti_[a-z_]+)` \|", (root / "docs/nifti.md").read_text(), re.MULTILINE))
    assert len(in_code) > 10 and in_docs == in_code


def whole(shape=(4, 5, 3)):
    return nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), SMALL_AFFINE).to_bytes()


def damaged(**fields):
    """A good file's bytes with other values in its header, unchecked."""
    places = {
        "dim": (40, "8h"),
        "datatype": (70, "h"),
        "intent": (68, "h"),
        "vox_offset": (108, "f"),
        "slope": (112, "2f"),
        "qform": (252, "h"),
    }
    places |= {"quaternion": (256, "3f"), "sform": (254, "h"), "units": (123, "B"), "rows": (280, "12f")}
    content = bytearray(whole())
    for name, values in fields.items():
        offset, form = places[name]
        struct.pack_into("<" + form, content, offset, *np.ravel(values))
    return bytes(content)


DAMAGE = {
    "a negative size": damaged(dim=(3, -4, 5, 3, 1, 1, 1, 1)),
    "a size of zero": damaged(dim=(3, 4, 0, 3, 1, 1, 1, 1)),
    "more voxels than bytes": damaged(dim=(3, 400, 500, 300, 1, 1, 1, 1)),
    "absurd sizes": damaged(dim=(4, 32767, 32767, 32767, 32767, 1, 1, 1)),
    "five axes": damaged(dim=(5, 2, 2, 3, 1, 5, 1, 1), intent=1007),
    "an unknown type": damaged(datatype=77),
    "voxels behind the end": damaged(vox_offset=1e9),
    "voxels nowhere": damaged(vox_offset=np.nan),
    "voxels at infinity": damaged(vox_offset=np.inf),
    "an offset without a meaning": damaged(slope=(2.0, np.nan)),
    "no unit quaternion": damaged(sform=0, qform=1, quaternion=(3.0, 4.0, 5.0)),
    "an affine of nothing": damaged(rows=np.zeros(12)),
    "an affine that is no number": damaged(rows=np.full(12, np.nan)),
    "an endless affine": damaged(rows=np.full(12, np.inf)),
    "an unknown unit": damaged(units=7),
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_headers(tmp_path, damage, ending):
    path = tmp_path / f"bad{ending}"
    path.write_bytes(DAMAGE[damage] if ending == ".nii" else gzip.compress(DAMAGE[damage]))
    with pytest.raises(InvalidInputError) as caught:
        read_nifti(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [7, 0, -16, 8, 1 << 30, 2**31 - 16])
def test_extensions_of_absurd_size_are_not_followed(tmp_path, size):
    """A size of 7 lets nibabel read "-1" bytes, which is all: of a file of 1 MB, 1 GB."""
    content = bytearray(damaged(vox_offset=float(1 << 30)))
    content[348:360] = struct.pack("<B3x2i", 1, size, 4)
    (tmp_path / "long.nii.gz").write_bytes(gzip.compress(content + bytes(64 << 20), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(InvalidInputError, match=r"long\.nii\.gz"):
        read_nifti(tmp_path / "long.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20


@pytest.mark.parametrize("length", [0, 1, 100, 347, 348, 352, 353, 471])
def test_cut_files(tmp_path, length):
    for name, content in (("cut.nii", whole()[:length]), ("cut.nii.gz", gzip.compress(whole()[:length]))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInputError, match=name.replace(".", r"\.")):
            read_nifti(tmp_path / name)
    squeezed = gzip.compress(whole())
    (tmp_path / "cut.nii.gz").write_bytes(squeezed[: length * len(squeezed) // 472])
    with pytest.raises(InvalidInputError, match=r"cut\.nii\.gz"):
        read_nifti(tmp_path / "cut.nii.gz")


def test_altered_compressed_bytes_are_found(tmp_path):
    squeezed = bytearray(gzip.compress(whole((40, 50, 3))))
    squeezed[len(squeezed) // 2] ^= 0xFF
    (tmp_path / "flipped.nii.gz").write_bytes(squeezed)
    with pytest.raises(InvalidInputError, match=r"flipped\.nii\.gz"):
        read_nifti(tmp_path / "flipped.nii.gz")


READ_IN_LITTLE_MEMORY = """
import sys
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.nifti import read_nifti
import nibabel
try:
    read_nifti(sys.argv[1])
except InvalidInputError as error:
    print(error)
"""


def test_a_small_file_that_promises_much_takes_no_memory(tmp_path):
    """100 GB are refused by the number, 250 MB of a file of 1 MB by what comes out of it."""
    noise = np.random.default_rng(0).integers(0, 256, 1 << 20, dtype=np.uint8).tobytes()
    for name, sizes in (("huge", (4, 4000, 4000, 100, 31)), ("large", (4, 500, 500, 100, 5))):
        header = damaged(dim=(*sizes, 1, 1, 1))[:352]
        (tmp_path / f"{name}.nii.gz").write_bytes(gzip.compress(header + noise, compresslevel=1))
    limit = 700 << 20  # what Python, NumPy and nibabel take as address space, and not 250 MB more than once
    for name, complaint in (("huge", "E_TOO_LARGE: expected at most"), ("large", "cut short")):
        run = subprocess.run(
            [sys.executable, "-c", READ_IN_LITTLE_MEMORY, tmp_path / f"{name}.nii.gz"],
            capture_output=True,
            text=True,
            timeout=120,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        )
        assert complaint in run.stdout, run.stdout + run.stderr


def test_a_bomb_is_not_unpacked(tmp_path):
    content = damaged(dim=(4, 500, 500, 100, 20, 1, 1, 1))[:352] + bytes(1 << 22)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(InvalidInputError, match="no image compresses that much"):
        read_nifti(tmp_path / "bomb.nii.gz")
