"""A client of the MRD server made of the ismrmrd package, and what it sends: a cine as images with headers."""

import io
import socket
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

ismrmrd = pytest.importorskip("ismrmrd", reason="ismrmrd is not installed")
from ismrmrd.serialization import ConfigFile, ProtocolDeserializer, ProtocolSerializer  # noqa: E402
from synthetic_dicom import OBLIQUE, SECRETS, orthonormal  # noqa: E402

DIRECTION = orthonormal(OBLIQUE)
TICK_MS, FRAME_MS, WAIT_S = 2.5, 40.0, 60.0


def mrd_header():
    """A measurement's header with what it must have, and a person."""
    types = ismrmrd.xsd
    person = types.subjectInformationType(
        patientName=SECRETS[0], patientID=SECRETS[2], patientWeight_kg=70.0, patientHeight_m=1.75
    )
    conditions = types.experimentalConditionsType(H1resonanceFrequency_Hz=63_500_000)
    return types.ismrmrdHeader(subjectInformation=person, experimentalConditions=conditions)


def mrd_image(pixels, spacing, position=(0.0, 0.0, 0.0), direction=DIRECTION, attributes=None, **fields):
    """``pixels`` are ``[H, W]`` or ``[z, H, W]``, ``position`` is the middle of the image in mm."""
    image = ismrmrd.Image.from_array(pixels, transpose=False)
    head = image.getHead()
    sides = pixels.shape[::-1] if pixels.ndim == 3 else (*pixels.shape[::-1], 1)
    head.field_of_view[:] = [side * step for side, step in zip(sides, spacing[::-1], strict=True)]
    head.position[:] = [float(value) for value in position]
    for name, column in (("read_dir", 0), ("phase_dir", 1), ("slice_dir", 2)):
        getattr(head, name)[:] = [float(value) for value in direction[:, column]]
    time = fields.pop("time", 0)
    head.physiology_time_stamp[0] = time
    for name, value in {"image_type": ismrmrd.IMTYPE_MAGNITUDE, "image_series_index": 3, **fields}.items():
        setattr(head, name, value)
    image.setHead(head)
    secret = {"PatientName": SECRETS[1], "SequenceDescription": "cine"}
    image.attribute_string = ismrmrd.Meta({**secret, **(attributes or {})}).serialize()
    return image


def cine_images(cine, spacing, **fields):
    """A 2-D image for each slice and phase of ``[T, S, H, W]``, slice by slice. The thickness is not the distance."""
    thickness = (6.0, *spacing[1:])
    middle = np.array([-12.0, 5.0, 30.0])
    return [
        mrd_image(
            plane,
            thickness,
            middle + DIRECTION[:, 2] * spacing[0] * s,
            slice=s,
            phase=t,
            time=round(t * FRAME_MS / TICK_MS),
            image_index=1 + s * len(cine) + t,
            **fields,
        )
        for s in range(cine.shape[1])
        for t, plane in enumerate(cine[:, s])
    ]


@dataclass
class Answer:
    """What came back: images by series index in the order of their arrival, texts, and whether CLOSE came."""

    images: dict
    texts: list
    closed: bool

    def pixels(self, series, shape):
        """The images of a series, sent slice by slice, as ``[T, S, H, W]``."""
        frames, slices = shape[:2]
        planes = np.array([image.data[0, 0] for image in self.images[series]])
        return planes.reshape(slices, frames, *shape[2:]).swapaxes(0, 1)

    def meta(self, series, number=0):
        return ismrmrd.Meta.deserialize(self.images[series][number].attribute_string)


def send(file, messages, config="cardiacseg", close=True):
    """Bytes are sent as they are."""
    serializer = ProtocolSerializer(file)
    serializer.serialize(ConfigFile(config))
    for message in messages:
        file.write(message) if isinstance(message, bytes) else serializer.serialize(message)
    if close:
        serializer.close()
    file.flush()


def receive(file):
    answer = Answer({}, [], True)
    try:
        for message in ProtocolDeserializer(file).deserialize():
            if isinstance(message, str):
                answer.texts.append(message.rstrip("\0"))
            else:
                answer.images.setdefault(message.image_series_index, []).append(message)
    except EOFError:
        answer.closed = False
    return answer


@contextmanager
def connected(port):
    """A connection as a file to read and write."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection,
        connection.makefile("rwb") as file,
    ):
        yield file


def exchange(port, messages, config="cardiacseg"):
    """Everything is sent, then everything is read."""
    with connected(port) as file:
        send(file, messages, config)
        return receive(file)


def sources(images):
    """The images as the server has them after reading."""
    from cardiacseg.network.mrd.messages import MessageLimits, Reader
    from cardiacseg.network.mrd.sources import as_source

    file = io.BytesIO()
    send(file, images)
    file.seek(0)
    messages = list(iter(Reader(file, MessageLimits()).next, None))
    return [as_source(message) for message in messages[1:-1]]
