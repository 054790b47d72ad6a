"""Decoding the pixels of the chosen frames, in any transfer syntax that an installed decoder reads."""

import io
import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import UID, RLELossless

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import (
    E_DAMAGED,
    E_TRANSFER_SYNTAX,
    N_DECIMAL_COMMA,
    N_LOSSY,
    N_MONOCHROME1,
    N_PADDING,
    N_PALETTE,
    N_PIXEL_ATTRIBUTE,
)
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.grey_values import (
    PIXELS,
    Field,
    StoredBits,
    has_grey_palette,
    inverted,
    is_inverted,
    is_lossy,
    is_palette,
    modality_values,
    pixel_header,
    rescale,
    through_palette,
    without_padding,
)
from cardiacseg.io.dicom.headers import NATIVE, has_decimal_comma, parse_whole
from cardiacseg.io.dicom.slices import Slices
from cardiacseg.io.dicom.sources import File

# pydicom decodes these itself, in Python; the others are decoded in a separate process.
IN_PYTHON = {*NATIVE, RLELossless}
_CHILD = Path(__file__).with_name("decoder_child.py")
_SECONDS, _SECONDS_A_FRAME = 20.0, 0.2
_LOSSY = Note(N_LOSSY, "images went through lossy compression, which changed their grey values")
_MONOCHROME1 = Note(N_MONOCHROME1, "PhotometricInterpretation is MONOCHROME1; grey values were inverted")
_PADDING = Note(N_PADDING, "pixels with PixelPaddingValue were set to the smallest grey value of their image")
_PALETTE = Note(N_PALETTE, "PhotometricInterpretation is PALETTE COLOR; the grey values of the palette were used")
_NO_SLOPE = Note(N_PIXEL_ATTRIBUTE, "RescaleSlope and RescaleIntercept are 0; no rescaling was applied")
_COMMA = Note(N_DECIMAL_COMMA, "numbers are written with a decimal comma, which was read as a decimal point")
# Those with values as text, in which a comma is possible.
_NUMBERS = [
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceThickness",
    "SpacingBetweenSlices",
    "TriggerTime",
    "RescaleSlope",
    "RescaleIntercept",
]


@dataclass(frozen=True, eq=False)
class Job:
    """Frames of one instance, by their indices from 0; ``name`` is the file's, ``header`` of ``pixel_header``."""

    name: str
    header: Dataset
    indices: list[int]

    @property
    def syntax(self) -> UID:
        return self.header.file_meta.TransferSyntaxUID

    @property
    def holds_words(self) -> bool:
        """Whether frames are stored words, which include unused bits if they are uncompressed."""
        return self.syntax in IN_PYTHON and "PixelData" in self.header

    def forget_pixels(self) -> None:
        for name in PIXELS:
            self.header.pop(name, None)


def decode(jobs: Iterable[Job]) -> list[list[np.ndarray]]:
    """For each job its frames ``[H, W]``, as stored; the pixels are removed from the job's header.

    Raises ``DicomError`` if there is no decoder, or if it cannot decode the data.
    """
    done, far = [], {}
    for number, job in enumerate(jobs):
        _check_decoder(job)
        if job.syntax in IN_PYTHON:
            done.append(_decode_here(job))
        else:
            far[number] = job
            done.append([])
    if far:
        for number, frames in zip(far, _decode_in_child(list(far.values())), strict=True):
            done[number] = frames
    return done


def _check_decoder(job: Job) -> None:
    try:
        if get_decoder(job.syntax).is_available:
            return
        why = "needs a decoder that is not installed"
    except NotImplementedError:
        why = "is not one that can be decoded"
    raise DicomError(E_TRANSFER_SYNTAX, f"{job.name} has the transfer syntax {job.syntax.name}, which {why}")


def _decode_here(job: Job) -> list[np.ndarray]:
    try:
        frames = list(iter_pixels(job.header, indices=job.indices, correct_unused_bits=False))
        job.forget_pixels()
        return frames
    # pydicom raises almost any error for damaged data.
    except Exception as error:
        raise _damaged(job, type(error).__name__) from error


def _damaged(job: Job, why: str) -> DicomError:
    return DicomError(E_DAMAGED, f"{job.name} has pixel data that cannot be decoded ({job.syntax.name}, {why})")


def _decode_in_child(jobs: list[Job]) -> list[list[np.ndarray]]:
    """One process for all jobs; nothing is written to disk."""
    instances = [_encoded(job) for job in jobs]
    requests = [{"bytes": len(part), "indices": job.indices} for part, job in zip(instances, jobs, strict=True)]
    answers = io.BytesIO(_ask(json.dumps(requests).encode() + b"\n" + b"".join(instances), jobs))
    return [[_answer(answers, job) for _ in job.indices] for job in jobs]


def _encoded(job: Job) -> bytes:
    buffer = io.BytesIO()
    try:
        job.header.save_as(buffer)
        job.forget_pixels()
    except Exception as error:
        raise _damaged(job, type(error).__name__) from error
    return buffer.getvalue()


def _ask(question: bytes, jobs: list[Job]) -> bytes:
    seconds = _SECONDS + _SECONDS_A_FRAME * sum(len(job.indices) for job in jobs)
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        process = subprocess.Popen([sys.executable, os.fspath(_CHILD)], env={**os.environ, **threads}, **pipes)
    except OSError as error:
        text = "compressed images are decoded by a Python program of their own, and none could be started"
        raise DicomError(E_TRANSFER_SYNTAX, text) from error
    with process:
        try:
            return process.communicate(question, timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]
        except BaseException:
            process.kill()
            raise


def _answer(answers: io.BytesIO, job: Job) -> np.ndarray:
    """The next frame; if there is none the decoder aborted, was killed for its memory, or took too long."""
    line = answers.readline()
    try:
        said = json.loads(line)
    except ValueError:
        raise _damaged(job, "the decoder did not come to an end") from None
    if said.get("unsupported"):
        text = f"{job.name} has pixels of a kind that no decoder for its transfer syntax supports ({job.syntax.name})"
        raise DicomError(E_TRANSFER_SYNTAX, text)
    if "error" in said:
        raise _damaged(job, said["error"])
    kind, shape = np.dtype(said["dtype"]), tuple(said["shape"])
    content = answers.read(int(np.prod(shape)) * kind.itemsize)
    try:
        return np.frombuffer(content, kind).reshape(shape)
    except ValueError:
        raise _damaged(job, "the decoder did not come to an end") from None


@dataclass(eq=False)
class _Part:
    """A file with chosen frames. ``layout`` is set if pixels are stored words, else ``None``."""

    file: File
    frames: list[Frame]
    dataset: Dataset
    header: Dataset
    layout: Field | None
    kinds: str
    decoded: list[np.ndarray] = field(default_factory=list)


def read_pixels(slices: Slices) -> tuple[np.ndarray, dict[str, Dataset], tuple[Note, ...]]:
    """Image ``[T, S, H, W]``, instances without pixels by SOP instance UID (the last of several with one), and notes.

    The image has the files' type if the modality transform is the identity for every frame, else it is float32.
    Raises ``DicomError`` for undecodable pixels.
    """
    first, phases = slices[0][0], len(slices[0])
    shape = (phases, len(slices), first.rows, first.columns)
    first.file.budget.take("pixels", math.prod(shape), first.file.name)
    notes: set[Note] = set()
    parts: list[_Part] = []
    frames = decode(_jobs(slices, parts, notes))
    for part, decoded in zip(parts, frames, strict=True):
        part.decoded = decoded
    return _image(slices, shape, parts, notes), {p.frames[0].sop_instance_uid: p.dataset for p in parts}, _sorted(notes)


def _jobs(slices: Slices, parts: list[_Part], notes: set[Note]) -> Iterator[Job]:
    """Parse one file after the other, so that the undecoded pixels of all are never in memory at once."""
    for file, frames in _by_file(slices).items():
        dataset = parse_whole(file)
        header, repaired = pixel_header(dataset)
        job = Job(file.name, header, [(frame.number or 1) - 1 for frame in frames])
        layout = Field.of(header, dataset) if job.holds_words else None
        kinds = "iu" if "PixelData" in header else "f"
        for name in PIXELS:
            dataset.pop(name, None)
        notes |= {_COMMA for name in _NUMBERS if has_decimal_comma(dataset, name)}
        parts.append(_Part(file, frames, dataset, header, layout, kinds))
        notes |= repaired
        yield job


def _by_file(slices: Slices) -> dict[File, list[Frame]]:
    """Each file once, in the best order for reading, with each of its chosen frames once, by number."""
    chosen: dict[File, set[Frame]] = defaultdict(set)
    for frames in slices:
        for frame in frames:
            chosen[frame.file].add(frame)
    files = sorted(chosen, key=lambda file: file.place)
    return {file: sorted(chosen[file], key=Frame.order) for file in files}


def _bits_of_parts(parts: list[_Part]) -> dict[Field, StoredBits]:
    by_layout: dict[Field, list[np.ndarray]] = defaultdict(list)
    for part in parts:
        if part.layout is not None:
            by_layout[part.layout] += part.decoded
    return {layout: StoredBits(layout, words) for layout, words in by_layout.items()}


def _image(slices: Slices, shape: tuple[int, ...], parts: list[_Part], notes: set[Note]) -> np.ndarray:
    """The image with each frame in its places; decoded frames are freed once they are copied."""
    places = defaultdict(list)
    for s, frames in enumerate(slices):
        for t, frame in enumerate(frames):
            places[frame.file, frame.number].append((t, s))
    bits = _bits_of_parts(parts)
    notes.update(*(stored.notes() for stored in bits.values()))
    image = None
    for part in parts:
        for frame, decoded in zip(part.frames, part.decoded, strict=True):
            values = _picture(part, frame, decoded, bits.get(part.layout), notes)
            if image is None:
                image = np.empty(shape, values.dtype)
            elif values.dtype != image.dtype:
                image = image.astype(np.float32, copy=False)
            for place in places[frame.file, frame.number]:
                image[place] = values
        part.decoded.clear()
    return image


def _picture(part: _Part, frame: Frame, decoded: np.ndarray, bits: StoredBits | None, notes: set[Note]) -> np.ndarray:
    name = part.file.name
    if decoded.shape != (frame.rows, frame.columns) or decoded.dtype.kind not in part.kinds:
        kind = f"{frame.rows} x {frame.columns} grey values"
        raise DicomError(E_DAMAGED, f"{name} decodes to {decoded.shape} of {decoded.dtype}; expected {kind}")
    try:
        return _grey_values(part, frame.number, decoded, bits, notes)
    except DicomError:
        raise
    # pydicom raises almost any error for attributes of a wrong kind or length.
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{name} has malformed attributes of its grey values") from error


def _grey_values(
    part: _Part, number: int | None, decoded: np.ndarray, bits: StoredBits | None, notes: set[Note]
) -> np.ndarray:
    header, dataset = part.header, part.dataset
    stored = decoded if bits is None else bits.values(decoded)
    values = without_padding(dataset, stored)
    if values is not stored:
        notes.add(_PADDING)
    if is_lossy(dataset):
        notes.add(_LOSSY)
    if is_palette(header):
        if not has_grey_palette(dataset):
            raise DicomError(E_DAMAGED, f"{part.file.name} has a palette of colors; expected grey values")
        notes.add(_PALETTE)
        return through_palette(dataset, values)
    if is_inverted(header):
        notes.add(_MONOCHROME1)
        values = inverted(values, bits or Field.of(header, dataset))
    if rescale(dataset, number) == (0, 0):
        notes.add(_NO_SLOPE)
    return modality_values(dataset, number, values)


def _sorted(notes: set[Note]) -> tuple[Note, ...]:
    return tuple(sorted(notes, key=lambda note: (note.code, note.text)))
