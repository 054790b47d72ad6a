"""Messages of the MRD (ISMRMRD version 1) stream: bytes in and out, every length checked before memory is taken.

All numbers are little-endian. A message begins with its identifier of 2 bytes; docs/mrd.md has the table.
"""

import math
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from cardiacseg.errors import MrdError

CONFIG_FILE, CONFIG_TEXT, HEADER, CLOSE, TEXT = 1, 2, 3, 4, 5
ACQUISITION, IMAGE, WAVEFORM, NDARRAY = 1008, 1022, 1026, 1030
E_TRUNCATED, E_TOO_LARGE = "E_TRUNCATED", "E_TOO_LARGE"
E_UNKNOWN_MESSAGE, E_BAD_IMAGE = "E_UNKNOWN_MESSAGE", "E_BAD_IMAGE"
_NAME_BYTES = 1024
_CHUNK = 1 << 20
_MOST_AXES = 16  # of an NDARRAY

# ISMRMRD's ImageHeader, 198 bytes without gaps.
IMAGE_HEADER = np.dtype(
    [
        ("version", "<u2"),
        ("data_type", "<u2"),
        ("flags", "<u8"),
        ("measurement_uid", "<u4"),
        ("matrix_size", "<u2", 3),
        ("field_of_view", "<f4", 3),
        ("channels", "<u2"),
        ("position", "<f4", 3),
        ("read_dir", "<f4", 3),
        ("phase_dir", "<f4", 3),
        ("slice_dir", "<f4", 3),
        ("patient_table_position", "<f4", 3),
        ("average", "<u2"),
        ("slice", "<u2"),
        ("contrast", "<u2"),
        ("phase", "<u2"),
        ("repetition", "<u2"),
        ("set", "<u2"),
        ("acquisition_time_stamp", "<u4"),
        ("physiology_time_stamp", "<u4", 3),
        ("image_type", "<u2"),
        ("image_index", "<u2"),
        ("image_series_index", "<u2"),
        ("user_int", "<i4", 8),
        ("user_float", "<f4", 8),
        ("attribute_string_len", "<u4"),
    ]
)
# data_type -> pixels
PIXELS = {n: np.dtype(f"<{name}") for n, name in enumerate(("u2", "i2", "u4", "i4", "f4", "f8", "c8", "c16"), start=1)}
_DATA_TYPES = {pixels: number for number, pixels in PIXELS.items()}
UNKNOWN_TYPE, MAGNITUDE, RGB = 0, 1, 6  # image_type


@dataclass(frozen=True)
class MessageLimits:
    """The largest lengths that a message may claim. ``bytes``: of one image with its attributes, or of what is skipped.

    ``matrix`` is the longest side of an image, ``text`` the longest text, XML or attribute string in bytes.
    """

    text: int = 16 << 20
    matrix: int = 4096
    channels: int = 64
    bytes: int = 1 << 30


@dataclass(frozen=True)
class Config:
    """The name of a configuration (CONFIG_FILE), or its text (CONFIG_TEXT)."""

    name: str = ""
    text: str = ""


@dataclass(frozen=True)
class Header:
    """The XML header of the measurement. Its ``subjectInformation`` holds patient data."""

    xml: str = field(repr=False)


@dataclass(frozen=True)
class Text:
    """A text, often JSON with parameters."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class Close:
    """The end of what the other side sends."""


@dataclass(frozen=True)
class Skipped:
    """A message that was read and not kept: raw data, a waveform, an array."""

    kind: str


@dataclass(frozen=True, eq=False)
class Image:
    """An image. ``header`` is one record of :data:`IMAGE_HEADER`; ``attributes`` may hold patient data.

    ``pixels`` are ``[channel, z, y, x]`` in the type that the header names.
    """

    header: np.ndarray = field(repr=False)
    attributes: bytes = field(repr=False)
    pixels: np.ndarray = field(repr=False)

    @property
    def bytes(self) -> int:
        """Memory of pixels and attributes."""
        return self.pixels.nbytes + len(self.attributes)


Message = Config | Header | Text | Close | Skipped | Image


class Reader:
    """Reads messages from a binary file. ``room`` bounds the bytes of the next image; a session lowers it.

    Raises ``MrdError`` if a message ends early, claims more than a limit, or is unknown (its length is then unknown
    too, so nothing after it can be read).
    """

    def __init__(self, file: BinaryIO, limits: MessageLimits):
        self._file, self._limits = file, limits
        self.room = limits.bytes

    def next(self) -> Message | None:
        """The next message; ``None`` if the stream ended between two messages."""
        begin = self._file.read(2)
        if not begin:
            return None
        if len(begin) < 2:
            raise MrdError(E_TRUNCATED, "the stream ended inside a message's identifier")
        (number,) = struct.unpack("<H", begin)
        if number == CLOSE:
            return Close()
        if number == CONFIG_FILE:
            return Config(name=_text(self._exactly(_NAME_BYTES, "a configuration's name")))
        if number == CONFIG_TEXT:
            return Config(text=self._counted("a configuration"))
        if number == HEADER:
            return Header(self._counted("the XML header"))
        if number == TEXT:
            return Text(self._counted("a text"))
        if number == IMAGE:
            return self._image()
        return self._skipped(number)

    def _exactly(self, count: int, what: str) -> bytearray:
        """``count`` bytes; memory grows with what arrives, not with what is claimed."""
        content = bytearray()
        while len(content) < count:
            chunk = self._file.read(min(_CHUNK, count - len(content)))
            if not chunk:
                raise MrdError(E_TRUNCATED, f"expected {count} bytes of {what}, got {len(content)}")
            content += chunk
        return content

    def _skip(self, count: int, what: str) -> None:
        _check(count, self._limits.bytes, f"bytes of {what}")
        for begin in range(0, count, _CHUNK):
            self._exactly(min(_CHUNK, count - begin), what)

    def _counted(self, what: str) -> str:
        (count,) = struct.unpack("<I", self._exactly(4, f"the length of {what}"))
        _check(count, self._limits.text, f"bytes of {what}")
        return _text(self._exactly(count, what))

    def _image(self) -> Image:
        header = np.frombuffer(self._exactly(IMAGE_HEADER.itemsize, "an image's header"), IMAGE_HEADER)[0].copy()
        pixel, shape = self._pixels_of(header)
        (count,) = struct.unpack("<Q", self._exactly(8, "the length of an image's attributes"))
        _check(count, self._limits.text, "bytes of an image's attributes")
        size = math.prod(shape) * pixel.itemsize
        _check(size + count, min(self.room, self._limits.bytes), "bytes of images")
        attributes = bytes(self._exactly(count, "an image's attributes"))
        pixels = np.frombuffer(self._exactly(size, "an image's pixels"), pixel).reshape(shape)
        return Image(header, attributes.split(b"\0", 1)[0], pixels)

    def _pixels_of(self, header: np.ndarray) -> tuple[np.dtype, tuple[int, int, int, int]]:
        pixel = PIXELS.get(int(header["data_type"]))
        if pixel is None:
            raise MrdError(E_BAD_IMAGE, f"expected an image's data type from 1 to 8, got {header['data_type']}")
        columns, rows, planes = (int(side) for side in header["matrix_size"])
        channels = int(header["channels"])
        if min(columns, rows, planes, channels) < 1:
            raise MrdError(
                E_BAD_IMAGE, f"expected an image with pixels, got {columns} x {rows} x {planes}, {channels} channels"
            )
        _check(max(columns, rows, planes), self._limits.matrix, "pixels along a side of an image")
        _check(channels, self._limits.channels, "channels of an image")
        return pixel, (channels, planes, rows, columns)

    def _skipped(self, number: int) -> Skipped:
        if number == ACQUISITION:
            header = self._exactly(340, "an acquisition's header")
            samples, _, channels = struct.unpack_from("<3H", header, 34)
            (dimensions,) = struct.unpack_from("<H", header, 176)
            self._skip(samples * (dimensions * 4 + channels * 8), "an acquisition")
            return Skipped("acquisition")
        if number == WAVEFORM:
            samples, channels = struct.unpack_from("<2H", self._exactly(40, "a waveform's header"), 28)
            self._skip(samples * channels * 4, "a waveform")
            return Skipped("waveform")
        if number == NDARRAY:
            data_type, _, axes = struct.unpack("<3H", self._exactly(6, "an array's header"))
            _check(axes, _MOST_AXES, "axes of an array")
            shape = struct.unpack(f"<{axes}Q", self._exactly(8 * axes, "an array's shape"))
            if data_type not in PIXELS:
                raise MrdError(E_BAD_IMAGE, f"expected an array's data type from 1 to 8, got {data_type}")
            self._skip(math.prod(shape) * PIXELS[data_type].itemsize, "an array")
            return Skipped("array")
        raise MrdError(
            E_UNKNOWN_MESSAGE, f"expected a message of MRD version 1 that this server reads, got identifier {number}"
        )


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise MrdError(E_TOO_LARGE, f"expected at most {most} {what}, got {count}")


def _text(content: bytes | bytearray) -> str:
    """Some clients end texts with a NUL, some do not."""
    return bytes(content).split(b"\0", 1)[0].decode("utf-8", "replace")


def config_bytes(name: str) -> bytes:
    """CONFIG_FILE: the name of a configuration, at most 1023 bytes. Raises ``ValueError`` for a longer one."""
    encoded = name.encode()
    if len(encoded) >= _NAME_BYTES:
        raise ValueError(f"expected a name of at most {_NAME_BYTES - 1} bytes, got {len(encoded)}")
    return struct.pack("<H", CONFIG_FILE) + encoded.ljust(_NAME_BYTES, b"\0")


def text_bytes(text: str, number: int = TEXT) -> bytes:
    """TEXT (or HEADER, CONFIG_TEXT) with the NUL at its end that the format's description asks for."""
    encoded = text.encode() + b"\0"
    return struct.pack("<HI", number, len(encoded)) + encoded


def close_bytes() -> bytes:
    """CLOSE."""
    return struct.pack("<H", CLOSE)


def image_bytes(image: Image) -> bytes:
    """IMAGE. Data type, matrix, channels and length of the attributes in the header are set to what is sent."""
    header, pixels = image.header.copy(), np.ascontiguousarray(image.pixels)
    header["data_type"] = _DATA_TYPES[pixels.dtype.newbyteorder("<")]
    header["channels"], header["matrix_size"] = pixels.shape[0], pixels.shape[:0:-1]
    header["attribute_string_len"] = len(image.attributes)
    length = struct.pack("<Q", len(image.attributes))
    return struct.pack("<H", IMAGE) + header.tobytes() + length + image.attributes + pixels.tobytes()
