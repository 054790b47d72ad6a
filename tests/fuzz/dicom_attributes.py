"""Attributes that are absent, empty, absurd, or of another kind than the standard says."""

import io
import struct
from collections.abc import Iterator

import pydicom
from damage import Case
from dicom_base import DAMAGED, alone, classic_files, encoded, enhanced_file, in_study
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

_WHOLE = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation")
_DECIMALS = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "TriggerTime", "SliceThickness"),
    *("NominalInterval", "RescaleSlope", "RescaleIntercept", "SpacingBetweenSlices", "PatientSize", "PatientWeight"),
    *("HeartRate", "InstanceNumber", "SeriesNumber", "AcquisitionNumber", "TemporalPositionIdentifier"),
)
_TEXTS = ("NumberOfFrames", "ImageType", "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
_TEXTS += ("SeriesInstanceUID", "PhotometricInterpretation", "AcquisitionTime", "SpecificCharacterSet", "PatientName")
_SHORTS = (b"", b"\0\0", b"\1\0", b"\xff\xff", b"\0\x80", b"\1\0\2\0", b"\1")
_NUMBERS = (
    b"",
    b"NaN",
    b"inf",
    b"-inf\\1",
    b"1e400",
    b"1e-300",
    b"0\\0\\0\\0\\0\\0",
    b"-1",
    b"abc",
    b"9" * 64,
    b"\xff\xfe",
)
_NUMBERS += (b"1e38\\1e38\\1e38\\1e38\\1e38\\1e38", b"NaN\\NaN\\NaN", b"1\\2", b"1\\2\\3\\4\\5\\6\\7", b"\\\\\\", b" ")
_WORDS = (
    b"",
    b"\\",
    b"4294967295",
    b"-1",
    b"2147483648",
    b"\xff\xfe\0\1",
    b"1." * 40,
    b"../../etc/passwd",
    b"A" * 5000,
)
_CHARACTER_SETS = (
    b"ISO 2022 IR 999",
    b"\\ISO 2022 IR 87",
    b"ISO_IR 192\\ISO_IR 100",
    b"GB18030\\x",
    b"\x1b$B",
    b"utf-7",
)
_KINDS = ("SQ", "UN", "OB", "US", "PN", "DS", "AT", "FD", "UL", "OW", "UI", "UT")


def attribute_cases() -> Iterator[Case]:
    """Every attribute above with every value, in one file of the classic study and in all of them."""
    for keywords, values in ((_WHOLE, _SHORTS), (_DECIMALS, _NUMBERS), (_TEXTS, _WORDS)):
        for keyword in keywords:
            for value in values:
                yield from _both(f"{keyword} = {value[:40]!r}", keyword, value, None)
    for value in _CHARACTER_SETS:
        yield from _both(f"SpecificCharacterSet = {value!r}", "SpecificCharacterSet", value, None)


def kind_cases() -> Iterator[Case]:
    """Attributes as another value representation, with the bytes that they had."""
    for keyword in (*_WHOLE, *_DECIMALS[:7], *_TEXTS, "PixelData"):
        for kind in _KINDS:
            yield from _both(f"{keyword} as {kind}", keyword, None, kind)


def absent_cases() -> Iterator[Case]:
    """Every attribute of the file left out, one at a time."""
    for tag in sorted(_read(classic_files()[DAMAGED]).keys()):
        yield Case(f"classic without {tag}", in_study(_without(classic_files()[DAMAGED], tag)))
    for tag in sorted(_read(enhanced_file()).keys()):
        yield Case(f"enhanced without {tag}", alone(_without(enhanced_file(), tag)))


def frame_cases() -> Iterator[Case]:
    """Enhanced files whose frames and functional groups do not fit each other."""
    for count in (b"0", b"1", b"23", b"25", b"2147483647", b"4294967295", b"-24", b"", b"24\\24", b"x"):
        yield Case(
            f"enhanced NumberOfFrames = {count!r}", alone(_altered(enhanced_file(), "NumberOfFrames", count, None))
        )
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "DimensionIndexSequence"):
        for name, items in _odd_sequences(keyword):
            dataset = _read(enhanced_file())
            setattr(dataset, keyword, items)
            yield Case(f"enhanced {keyword} {name}", alone(encoded(dataset)))
    for group in sorted(_read(enhanced_file()).PerFrameFunctionalGroupsSequence[0].keys()):
        dataset = _read(enhanced_file())
        del dataset.PerFrameFunctionalGroupsSequence[3][group]
        yield Case(f"enhanced frame without {group}", alone(encoded(dataset)))
        dataset.PerFrameFunctionalGroupsSequence[4][group].value = []
        yield Case(f"enhanced frame with an empty {group}", alone(encoded(dataset)))


def length_cases() -> Iterator[Case]:
    """Lengths of elements that are not those of their values."""
    content = classic_files()[DAMAGED]
    dataset = _read(content)
    for tag in sorted(dataset.keys()):
        element = dataset.get_item(tag)
        if not isinstance(element, RawDataElement):
            continue
        long = element.VR in ("OB", "OW", "SQ", "UN", "UT")
        kind, at = ("<I", element.value_tell - 4) if long else ("<H", element.value_tell - 2)
        for length in (0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF) if long else (0xFFFF, 0xFFFE, 1, 0):
            damaged = content[:at] + struct.pack(kind, length) + content[at + struct.calcsize(kind) :]
            yield Case(f"classic {tag} of length {length:#x}", in_study(damaged))


def _both(name: str, keyword: str, value: bytes | None, kind: str | None) -> Iterator[Case]:
    def in_one(folder):
        return in_study(_altered(classic_files()[DAMAGED], keyword, value, kind))(folder)

    def everywhere(folder):
        for index, content in enumerate(classic_files()):
            (folder / f"IM{index:04}").write_bytes(_altered(content, keyword, value, kind))
        return folder

    yield Case(f"{name} in one file", in_one)
    yield Case(f"{name} in every file", everywhere)


def _read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def _altered(content: bytes, keyword: str, value: bytes | None, kind: str | None) -> bytes:
    """The file with other bytes as the value, or the same bytes as another kind of value, unchecked."""
    tag, elements = Tag(keyword), _elements(content)
    begin, end, old = elements.get(tag, (None, None, b"1 "))
    if begin is None:
        begin = end = min(place for other, (place, _, _) in elements.items() if other > tag)
    value = old if value is None else value
    kind = (kind or pydicom.datadict.dictionary_VR(tag).split(" ")[0]).encode()
    long = kind in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    length = b"\0\0" + struct.pack("<I", len(value)) if long else struct.pack("<H", len(value))
    return content[:begin] + struct.pack("<HH", tag.group, tag.element) + kind + length + value + content[end:]


def _elements(content: bytes) -> dict[int, tuple[int, int, bytes]]:
    """Start, end and bytes of each element of the dataset, without sequences of unknown length."""
    found = {}
    for raw in _read(content)._dict.values():
        if isinstance(raw, RawDataElement):
            head = 12 if raw.VR in ("OB", "OW", "SQ", "UN", "UT") else 8
            end = raw.value_tell + raw.length
            found[raw.tag] = raw.value_tell - head, end, content[raw.value_tell : end]
    return found


def _without(content: bytes, tag) -> bytes:
    dataset = _read(content)
    del dataset[tag]
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset)  # not enforce_file_format, which wants a SOP class
    return buffer.getvalue()


def _odd_sequences(keyword: str) -> Iterator[tuple[str, list]]:
    items = list(_read(enhanced_file())[keyword].value)
    yield "empty", []
    yield "with an empty item", [Dataset(), *items[1:]]
    yield "one item short", items[:-1]
    yield "twice as long", items * 2
    yield "with one item for all", items[:1] * len(items)
