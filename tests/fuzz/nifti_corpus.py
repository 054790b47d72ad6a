"""All damaged NIfTI files of a seed."""

import bz2
import gzip
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from damage import Case, cuts, flips, overwrites, random_cuts, sample
from dicom_base import new_random

_NAN, _INF = float("nan"), float("inf")
# Fields of the NIfTI-1 header (nifti1.h): format and offset.
_FIELDS = {
    "sizeof_hdr": ("i", 0, [0, -1, 349, 540, 0x5C010000]),
    "dim[0]": ("h", 40, [-1, 0, 1, 2, 5, 7, 8, 32767]),
    "dim[1]": ("h", 42, [-32768, -1, 0, 1, 32767]),
    "dim[3]": ("h", 46, [-1, 0, 1, 32767]),
    "dim[4]": ("h", 48, [-5, 0, 1, 32767]),
    "dim[5]": ("h", 50, [-1, 0, 2, 32767]),
    "intent_code": ("h", 68, [-1, 1007, 9999]),
    "datatype": ("h", 70, [-1, 0, 1, 32, 64, 128, 255, 1536, 2048, 9999]),
    "bitpix": ("h", 72, [-1, 0, 7, 32767]),
    "pixdim[0]": ("f", 76, [_NAN, 0, 5, -1]),
    "pixdim[1]": ("f", 80, [_NAN, _INF, 0, -1, 1e-30, 1e30]),
    "pixdim[3]": ("f", 88, [_NAN, _INF, 0, -1, 1e-30, 1e30]),
    "pixdim[4]": ("f", 92, [_NAN, _INF, 0, -1, 1e30]),
    "vox_offset": ("f", 108, [_NAN, _INF, -1, 0, 1, 353, 1e9, 1e30]),
    "scl_slope": ("f", 112, [_NAN, _INF, 0, 1e30, 1e-40]),
    "scl_inter": ("f", 116, [_NAN, _INF, 3e38]),
    "xyzt_units": ("b", 123, [-1, 7, 99]),
    "cal_max": ("f", 124, [_NAN, _INF]),
    "toffset": ("f", 136, [_NAN, _INF, -1e30]),
    "qform_code": ("h", 252, [-1, 0, 99, 32767]),
    "sform_code": ("h", 254, [-1, 0, 99, 32767]),
    "quatern_b": ("f", 256, [_NAN, _INF, 7]),
    "qoffset_x": ("f", 268, [_NAN, _INF, 1e38]),
    "srow_x[0]": ("f", 280, [_NAN, _INF, 0, 1e38, 1e-38]),
    "srow_x[3]": ("f", 292, [_NAN, _INF, 1e38]),
    "srow_z[2]": ("f", 320, [_NAN, _INF, 0, 1e38]),
    "magic": ("4s", 344, [b"", b"ni1\0", b"n+2\0", b"\xff" * 4]),
    "extension": ("4s", 348, [b"\1\0\0\0", b"\xff" * 4]),
}


@cache
def whole_file(kind: str = "Nifti1Image") -> bytes:
    import nibabel

    voxels = np.arange(12 * 10 * 4 * 5, dtype=np.int16).reshape(12, 10, 4, 5)
    image = getattr(nibabel, kind)(voxels, np.diag([-1.5, -1.5, 8.0, 1.0]))
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm", "msec")
    return image.to_bytes()


def named(name: str) -> Callable[[bytes], Callable[[Path], Path]]:
    def wrap(content: bytes) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            (folder / name).write_bytes(content)
            return folder / name

        return make

    return wrap


def of_pair(ending: str) -> Callable[[bytes], Callable[[Path], Path]]:
    """The damaged header or voxels of a pair whose other file is whole; the damaged one is named."""

    def wrap(content: bytes) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            for other, whole in pair_files().items():
                (folder / f"a{other}").write_bytes(content if other == ending else whole)
            return folder / f"a{ending}"

        return make

    return wrap


@cache
def pair_files() -> dict[str, bytes]:
    header = bytearray(whole_file()[:348])
    struct.pack_into("<f", header, 108, 0)
    struct.pack_into("<4s", header, 344, b"ni1")
    return {".hdr": bytes(header), ".img": whole_file()[352:]}


def nifti_cases(seed: int, count: int) -> Iterator[Case]:
    """About ``count`` of each kind of damage, chosen by ``seed``; the cases made to do harm all."""
    generator = new_random(seed, "nifti")
    files = {
        "a.nii": whole_file(),
        "a.nii.gz": gzip.compress(whole_file(), mtime=0),
        "a.nii.bz2": bz2.compress(whole_file()),
        "second.nii": whole_file("Nifti2Image"),
    }
    for name, content in files.items():
        yield Case(f"{name}, whole", named(name)(content))
        yield from sample(list(cuts(name, content, named(name), list(range(0, 560, 2)))), generator, count)
        yield from random_cuts(name, content, named(name), generator, count // 2)
        yield from flips(name, content, named(name), generator, count)
        yield from overwrites(name, content, named(name), generator, count // 2)
    for ending, content in pair_files().items():
        yield Case(f"{ending} of a pair, whole", of_pair(ending)(content))
        yield from random_cuts(ending, content, of_pair(ending), generator, count // 2)
        yield from flips(ending, content, of_pair(ending), generator, count)
        yield from overwrites(ending, content, of_pair(ending), generator, count // 2)
    packed = gzip.compress(gzip.compress(whole_file(), mtime=0), mtime=0)
    yield Case("packed twice, whole", named("twice.nii.gz")(packed))
    yield from flips("packed twice", packed, named("twice.nii.gz"), generator, count)
    yield from _fields()
    yield from _extensions()
    yield from _bombs()


def _fields() -> Iterator[Case]:
    for field, (kind, at, values) in _FIELDS.items():
        for value in values:
            damaged = bytearray(whole_file())
            struct.pack_into("<" + kind, damaged, at, value)
            yield Case(f"{field} = {value}", named("a.nii")(bytes(damaged)))
            yield Case(f"{field} = {value}, packed", named("a.nii.gz")(gzip.compress(damaged, 1, mtime=0)))
    enormous = bytearray(whole_file())
    struct.pack_into("<5h", enormous, 40, 4, 32767, 32767, 32767, 32767)
    yield Case("2^60 voxels", named("a.nii")(bytes(enormous)))
    yield Case("2^60 voxels, packed", named("a.nii.gz")(gzip.compress(enormous)))
    second = bytearray(whole_file("Nifti2Image"))
    struct.pack_into("<5q", second, 16, 4, 2**62, 2**62, 2**62, 2**62)
    yield Case("2^248 voxels", named("a.nii")(bytes(second)))


def _extensions() -> Iterator[Case]:
    head, voxels = whole_file()[:348], whole_file()[352:]
    for size in (-1, 0, 7, 8, 15, 16, 32, 0x7FFFFFF0, -(2**31)):
        content = head + b"\1\0\0\0" + struct.pack("<ii", size, 6) + bytes(24) + voxels
        for offset in (352.0, 384.0, 1e9):
            moved = bytearray(content)
            struct.pack_into("<f", moved, 108, offset)
            yield Case(f"extension of {size} bytes, voxels at {offset}", named("a.nii")(bytes(moved)))
    chained = head + b"\1\0\0\0" + struct.pack("<ii", 16, 6) * 200_000
    yield Case("extensions without an end", named("a.nii.gz")(gzip.compress(chained)))


def _bombs() -> Iterator[Case]:
    """Files that unpack to far more than they are."""
    zeros = gzip.compress(bytes(1 << 24)) * 128  # 2 GiB in many members
    promised = bytearray(whole_file()[:352])
    for frames in (1, 30000):
        struct.pack_into("<5h", promised, 40, 4, 256, 256, 16, frames)
        bomb = gzip.compress(promised) + zeros
        yield Case(f"gz of 2 GiB for {frames} frames", named("a.nii.gz")(bomb))
    struct.pack_into("<f", promised, 108, float(1 << 40))
    yield Case("gz of 2 GiB with voxels far behind", named("a.nii.gz")(gzip.compress(promised) + zeros))
    yield Case("gz of zeros", named("a.nii.gz")(zeros))
    yield Case("gz of 2 GiB in gz", named("a.nii.gz")(gzip.compress(zeros)))
    yield Case("gz with something behind", named("a.nii.gz")(gzip.compress(whole_file()) + b"something"))
    yield Case("gz that says nii", named("a.nii")(gzip.compress(whole_file())))
    yield Case("nii that says gz", named("a.nii.gz")(whole_file()))
    yield Case("empty", named("a.nii")(b""))
    yield Case("empty gz", named("a.nii.gz")(b""))
    yield Case("text", named("a.nii")(b"hello\n" * 200))
