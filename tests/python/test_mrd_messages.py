"""The MRD stream's bytes: literals, limits, and what cannot be read; the image header as ISMRMRD has it."""

import io
import struct

import numpy as np
import pytest

from cardiacseg.errors import MrdError
from cardiacseg.network.mrd.messages import (
    IMAGE_HEADER,
    Close,
    Config,
    Header,
    Image,
    MessageLimits,
    Reader,
    Skipped,
    Text,
    close_bytes,
    config_bytes,
    image_bytes,
    text_bytes,
)
from cardiacseg.network.mrd.sources import read_attributes, read_xml, write_attributes

LIMITS = MessageLimits(text=1000, matrix=64, channels=4, bytes=10_000)
# An image of 3 columns, 2 rows, one plane, int16, written out field by field.
HEADER = (
    struct.pack("<HHQI", 1, 2, 0x8000000000000041, 7)  # version, data type, flags, measurement
    + struct.pack("<3H3fH", 3, 2, 1, 30.0, 20.0, 6.0, 1)  # matrix, field of view, channels
    + struct.pack("<3f", 1.5, -2.5, 3.5)  # position
    + struct.pack("<9f", 1, 0, 0, 0, 0, -1, 0, 1, 0)  # read, phase, slice directions
    + struct.pack("<3f", 0, 0, -100)  # table
    + struct.pack("<6H", 11, 12, 13, 14, 15, 16)  # average, slice, contrast, phase, repetition, set
    + struct.pack("<I3I", 1000, 240, 1, 2)  # time stamps
    + struct.pack("<3H", 1, 21, 22)  # image type, index, series
    + struct.pack("<8i8f", *range(8), *(0.5,) * 8)
    + struct.pack("<I", 99)  # length of the attributes, which is wrong here as in real streams
)
ATTRIBUTES = b"<ismrmrdMeta><meta><name>A</name><value>1</value><value>2</value></meta></ismrmrdMeta>"
PIXELS = struct.pack("<6h", -1, 2, 3, 4, 5, 32767)
IMAGE = b"\xfe\x03" + HEADER + struct.pack("<Q", len(ATTRIBUTES)) + ATTRIBUTES + PIXELS


def read(content, limits=LIMITS):
    reader = Reader(io.BytesIO(content), limits)
    return list(iter(reader.next, None))


def refusal(content, limits=LIMITS):
    with pytest.raises(MrdError) as caught:
        read(content, limits)
    return caught.value


def changed(offset, form, *values):
    header = bytearray(HEADER)
    struct.pack_into(form, header, offset, *values)
    return b"\xfe\x03" + bytes(header)


def test_messages_are_these_bytes():
    assert config_bytes("ab") == b"\x01\x00ab" + bytes(1022)
    assert text_bytes("µ") == b"\x05\x00\x03\x00\x00\x00\xc2\xb5\x00"
    assert close_bytes() == b"\x04\x00"
    with pytest.raises(ValueError, match="1023 bytes, got 1024"):
        config_bytes("x" * 1024)


def test_texts_are_read_with_and_without_a_nul():
    stream = b"\x01\x00name" + bytes(1020) + b"\x02\x00\x04\x00\x00\x00{}\0x" + b"\x03\x00\x03\x00\x00\x00<a>"
    stream += b"\x05\x00\x02\x00\x00\x00\xff\x00" + b"\x04\x00"
    assert read(stream) == [Config(name="name"), Config(text="{}"), Header("<a>"), Text("�"), Close()]
    assert "name" not in repr(Header("name")) and "name" not in repr(Text("name"))


def test_an_image_is_these_bytes():
    assert len(HEADER) == IMAGE_HEADER.itemsize == 198
    (image,) = read(IMAGE)
    expected = {"measurement_uid": 7, "slice": 12, "phase": 14, "set": 16, "image_series_index": 22, "channels": 1}
    assert {name: int(image.header[name]) for name in expected} == expected
    assert image.header["position"].tolist() == [1.5, -2.5, 3.5] and image.header["slice_dir"].tolist() == [0, 1, 0]
    assert image.header["physiology_time_stamp"].tolist() == [240, 1, 2]
    assert image.pixels.tolist() == [[[[-1, 2, 3], [4, 5, 32767]]]]
    assert read_attributes(image.attributes) == {"A": ["1", "2"]}
    again = image_bytes(image)
    assert again[:196] == IMAGE[:196] and again[200:] == IMAGE[200:]  # all but attribute_string_len, now right
    assert struct.unpack_from("<I", again, 196) == (len(ATTRIBUTES),)


def test_the_header_is_that_of_ismrmrd():
    head = pytest.importorskip("ismrmrd").ImageHeader
    fields = {name: IMAGE_HEADER.fields[name][1] for name, *_ in head._fields_}
    assert fields == {name: getattr(head, name).offset for name, *_ in head._fields_}


@pytest.mark.parametrize(
    ("number", "pixel"), list(enumerate(("u2", "i2", "u4", "i4", "f4", "f8", "c8", "c16"), start=1))
)
def test_every_type_of_pixel(number, pixel):
    pixels = np.arange(12).astype(f"<{pixel}").reshape(2, 1, 2, 3)
    sent = image_bytes(Image(np.zeros((), IMAGE_HEADER)[()], b"", pixels))
    assert struct.unpack_from("<H", sent, 4) == (number,) and struct.unpack_from("<H", sent, 36) == (2,)
    (image,) = read(sent)
    assert image.pixels.dtype == pixels.dtype and np.array_equal(image.pixels, pixels)


def test_what_is_not_used_is_read_to_its_end():
    raw = bytearray(340)
    struct.pack_into("<3H", raw, 34, 5, 0, 2)
    struct.pack_into("<H", raw, 176, 3)
    wave = bytearray(40)
    struct.pack_into("<2H", wave, 28, 6, 2)
    array = struct.pack("<3H2Q", 5, 0, 2, 3, 4) + bytes(48)
    stream = b"\xf0\x03" + raw + bytes(5 * (3 * 4 + 2 * 8)) + b"\x02\x04" + wave + bytes(48) + b"\x06\x04" + array
    assert read(stream + b"\x04\x00") == [Skipped("acquisition"), Skipped("waveform"), Skipped("array"), Close()]


@pytest.mark.parametrize("length", [1, 3, 100, 199, 200, 204, 208, 250, len(IMAGE) - 1])
def test_half_an_image(length):
    assert refusal(IMAGE[:length]).code == "E_TRUNCATED"


@pytest.mark.parametrize(
    ("stream", "code", "sentence"),
    [
        (b"\x03\x00\xff\xff\xff\xff", "E_TOO_LARGE", "at most 1000 bytes of the XML header, got 4294967295"),
        (b"\x05\x00\xff\xff\xff\x7f", "E_TOO_LARGE", "bytes of a text, got 2147483647"),
        (IMAGE[:200] + struct.pack("<Q", 1 << 63), "E_TOO_LARGE", "attributes, got 9223372036854775808"),
        (changed(16, "<3H", 65535, 2, 1), "E_TOO_LARGE", "64 pixels along a side"),
        (changed(16, "<3H", 64, 64, 3) + bytes(8), "E_TOO_LARGE", "at most 10000 bytes of images, got 24576"),
        (changed(34, "<H", 5), "E_TOO_LARGE", "4 channels"),
        (changed(16, "<3H", 3, 0, 1), "E_BAD_IMAGE", "3 x 0 x 1"),
        (changed(2, "<H", 9), "E_BAD_IMAGE", "from 1 to 8, got 9"),
        (b"\x06\x04" + struct.pack("<3H2Q", 5, 0, 2, 1 << 40, 1 << 40), "E_TOO_LARGE", "bytes of an array"),
        (b"\x06\x04" + struct.pack("<3H", 5, 0, 60000), "E_TOO_LARGE", "axes"),
        (b"\xf0\x03" + b"\xff" * 340, "E_TOO_LARGE", "bytes of an acquisition"),
        (b"GET / HTTP/1.1\r\n", "E_UNKNOWN_MESSAGE", "identifier 17735"),
        (b"\x06\x00", "E_UNKNOWN_MESSAGE", "identifier 6"),
        (b"\xe9\x03", "E_UNKNOWN_MESSAGE", "identifier 1001"),
    ],
)
def test_what_is_refused(stream, code, sentence):
    error = refusal(stream)
    assert error.code == code and sentence in str(error)


def test_a_reader_with_less_room():
    reader = Reader(io.BytesIO(IMAGE * 2), LIMITS)
    reader.room = 150
    reader.next()
    reader.room = 50
    with pytest.raises(MrdError, match=r"E_TOO_LARGE: expected at most 50 bytes of images, got \d+"):
        reader.next()


def test_attributes_there_and_back():
    attributes = {"ROI_LV": ["0.5", "1"], "Ä": ["<&>"], "empty": [""]}
    assert read_attributes(write_attributes(attributes)) == attributes
    ismrmrd = pytest.importorskip("ismrmrd")
    meta = ismrmrd.Meta.deserialize(write_attributes(attributes))
    assert meta["ROI_LV"] == ["0.5", "1"] and meta["Ä"] == "<&>"


def test_xml_that_cannot_be_read():
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'
    assert [read_xml(text) for text in ("Dummy XML header", "", "<a", bomb, b"\xff\xfe<")] == [None] * 5
    assert read_attributes(b"") == {} and read_attributes(b"no XML") is None and read_attributes(bomb) is None
