"""Decoding pixels of any transfer syntax that an installed decoder knows."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import UID, RLELossless

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom.errors import E_DAMAGED, E_TRANSFER_SYNTAX
from cardiacseg.io.dicom.headers import NATIVE
from cardiacseg.io.dicom.pixel_header import PIXELS

# pydicom decodes these itself, in Python; the others are decoded in a process of their own.
IN_PYTHON = {*NATIVE, RLELossless}
_CHILD = Path(__file__).with_name("decoder_child.py")
_SECONDS, _SECONDS_A_FRAME = 20.0, 0.2


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
        """Whether frames come as they are stored, of uncompressed ones also with the bits that are not used."""
        return self.syntax in IN_PYTHON and "PixelData" in self.header

    def forget_pixels(self) -> None:
        for name in PIXELS:
            self.header.pop(name, None)


def decode(jobs: Iterable[Job]) -> list[list[np.ndarray]]:
    """For each job its frames ``[H, W]``, as stored; the pixels are taken out of the job's header.

    Raises ``DicomError`` where there is no decoder, or where it cannot make sense of the data.
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
    # Damaged data make pydicom raise almost anything.
    except Exception as error:
        raise _damaged(job, type(error).__name__) from error


def _damaged(job: Job, why: str) -> DicomError:
    return DicomError(E_DAMAGED, f"{job.name} has pixel data that cannot be decoded ({job.syntax.name}, {why})")


def _decode_in_child(jobs: list[Job]) -> list[list[np.ndarray]]:
    """One process for all jobs; nothing is written to disk."""
    instances = [_encoded(job) for job in jobs]
    wanted = [{"bytes": len(part), "indices": job.indices} for part, job in zip(instances, jobs, strict=True)]
    answers = io.BytesIO(_ask(json.dumps(wanted).encode() + b"\n" + b"".join(instances), jobs))
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
    """The next frame; where there is none the decoder aborted, was killed for its memory, or took too long."""
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
