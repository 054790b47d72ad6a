"""Damaged and hostile NIfTI files: one sentence each, soon and in little memory."""

import gzip
import resource
import struct
import subprocess
import sys
import tracemalloc

import nibabel
import numpy as np
import pytest

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.nifti import read_nifti

AFFINE = np.diag([-1.4, -1.5, 8.0, 1.0])


def whole(shape=(4, 5, 3)):
    return nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), AFFINE).to_bytes()


def patched(**fields):
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
    "a negative size": patched(dim=(3, -4, 5, 3, 1, 1, 1, 1)),
    "a size of zero": patched(dim=(3, 4, 0, 3, 1, 1, 1, 1)),
    "more voxels than bytes": patched(dim=(3, 400, 500, 300, 1, 1, 1, 1)),
    "absurd sizes": patched(dim=(4, 32767, 32767, 32767, 32767, 1, 1, 1)),
    "five axes": patched(dim=(5, 2, 2, 3, 1, 5, 1, 1), intent=1007),
    "an unknown type": patched(datatype=77),
    "voxels behind the end": patched(vox_offset=1e9),
    "voxels nowhere": patched(vox_offset=np.nan),
    "voxels at infinity": patched(vox_offset=np.inf),
    "an offset without a meaning": patched(slope=(2.0, np.nan)),
    "no unit quaternion": patched(sform=0, qform=1, quaternion=(3.0, 4.0, 5.0)),
    "an affine of nothing": patched(rows=np.zeros(12)),
    "an affine that is no number": patched(rows=np.full(12, np.nan)),
    "an endless affine": patched(rows=np.full(12, np.inf)),
    "an unknown unit": patched(units=7),
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
    content = bytearray(patched(vox_offset=float(1 << 30)))
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
        header = patched(dim=(*sizes, 1, 1, 1))[:352]
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
    content = patched(dim=(4, 500, 500, 100, 20, 1, 1, 1))[:352] + bytes(1 << 22)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(InvalidInputError, match="no image compresses so far"):
        read_nifti(tmp_path / "bomb.nii.gz")
