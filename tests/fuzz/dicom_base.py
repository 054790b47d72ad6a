"""The whole studies that are damaged: small, made up, in several encodings."""

import dataclasses
import io
import os
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pydicom
from openjpeg.utils import encode_array
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from synthetic_dicom import Recipe, classic_study
from synthetic_enhanced import enhanced_study

RECIPE = Recipe(frames=8, slices=3, size=(32, 36))
ONE_FILE = dataclasses.replace(RECIPE, series_per_slice=False)
DAMAGED = 5  # the index of the file that is damaged: phase 6 of slice 1
ENCODINGS = ("explicit", "implicit", "big endian", "deflated", "RLE", "JPEG 2000")


def encoded(dataset: Dataset, **options) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True, **options)
    return buffer.getvalue()


@cache
def classic_files() -> tuple[bytes, ...]:
    return tuple(encoded(dataset) for dataset in classic_study(RECIPE).datasets)


@cache
def enhanced_file(encoding: str = "explicit") -> bytes:
    return reencoded(encoded(enhanced_study(ONE_FILE).datasets[0]), encoding)


def reencoded(content: bytes, encoding: str) -> bytes:
    """The same instance in another transfer syntax."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    if encoding == "RLE":
        dataset.compress(RLELossless, generate_instance_uid=False)
        return encoded(dataset)
    if encoding == "JPEG 2000":
        frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
        packed = encapsulate([encode_array(frame, bits_stored=12, photometric_interpretation=2) for frame in frames])
        dataset.file_meta.TransferSyntaxUID, dataset.PixelData = JPEG2000Lossless, packed
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        return encoded(dataset)
    syntaxes = {
        "implicit": (ImplicitVRLittleEndian, True, True),
        "big endian": (ExplicitVRBigEndian, False, False),
        "deflated": (DeflatedExplicitVRLittleEndian, False, True),
    }
    if encoding not in syntaxes:
        return content
    dataset.file_meta.TransferSyntaxUID, implicit, little = syntaxes[encoding]
    if encoding == "big endian":
        dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
    return encoded(dataset, implicit_vr=implicit, little_endian=little)


def in_study(content: bytes) -> Callable[[Path], Path]:
    """A classic study of which one file has this content."""

    def make(folder: Path) -> Path:
        for index, whole in enumerate(classic_files()):
            if index != DAMAGED:
                os.link(_kept(folder, index, whole), folder / f"IM{index:04}")
        (folder / f"IM{DAMAGED:04}").write_bytes(content)
        return folder

    return make


def _kept(folder: Path, index: int, whole: bytes) -> Path:
    """The whole file, written once beside the cases' folders."""
    store = folder.parent / "whole"
    store.mkdir(exist_ok=True)
    path = store / f"{index:04}"
    if not path.exists():
        path.write_bytes(whole)
    return path


def alone(content: bytes) -> Callable[[Path], Path]:
    """A folder with this file and nothing else."""

    def make(folder: Path) -> Path:
        (folder / "IM0000").write_bytes(content)
        return folder

    return make


def places(content: bytes) -> list[int]:
    """Starts and ends of the parts of a file: elements, their lengths and values, items of sequences."""
    found = {0, 1, 127, 128, 131, 132, 133}
    dataset = pydicom.dcmread(io.BytesIO(content))
    for part in (dataset.file_meta, dataset):
        for tag in sorted(part.keys()):
            element = part.get_item(tag)
            begin = getattr(element, "value_tell", None) or getattr(element, "file_tell", None)
            found |= {begin - 8, begin - 4, begin - 2, begin, begin + 1} if begin else set()
    for mark in (b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0"):
        at = content.find(mark)
        while at >= 0:
            found |= {at, at + 4, at + 8}
            at = content.find(mark, at + 1)
    return sorted(place for place in found if 0 <= place < len(content))


def new_random(seed: int, purpose: str) -> random.Random:
    return random.Random(f"{purpose} {seed}")
