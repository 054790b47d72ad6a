"""What headers say of grey values, and pixels that are not all there."""

import numpy as np
import pydicom
import pytest
from dicom_reading import read, refused
from pydicom import uid
from synthetic_dicom import Recipe, classic_study, write
from synthetic_enhanced import enhanced_study

from cardiacseg.errors import DicomError
from cardiacseg.io.budget import Budget, Limits
from cardiacseg.io.dicom.grey_values import Field, StoredBits, modality_values, pixel_header, without_padding
from cardiacseg.io.dicom.read import list_groups, read_dicom

SMALL = Recipe(slices=3, size=(32, 40))


@pytest.fixture
def study():
    return classic_study(SMALL)


def set_all(study, **values):
    for dataset in study.datasets:
        for name, value in values.items():
            setattr(dataset, name, value)


@pytest.mark.parametrize("make", [classic_study, enhanced_study])
def test_rescaled_by_each_frame(tmp_path, make):
    study = make(SMALL)
    expected = study.stored.astype(np.float64)
    if make is classic_study:
        for index, dataset in enumerate(study.datasets):
            dataset.RescaleSlope, dataset.RescaleIntercept = str(1 + index), str(-index)
            s, t = divmod(index, 8)
            expected[t, s] = expected[t, s] * (1 + index) - index
    else:
        for s, dataset in enumerate(study.datasets):
            del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
            for t, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
                part = pydicom.Dataset()
                part.RescaleSlope, part.RescaleIntercept, part.RescaleType = str(0.5 + t), str(s), "US"
                frame.PixelValueTransformationSequence = [part]
                expected[t, s] = expected[t, s] * (0.5 + t) + s
    image = read(study.datasets, tmp_path).image
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, expected.astype(np.float32))


@pytest.mark.parametrize(("slope", "intercept"), [("0", "7"), ("1e300", "0"), ("1", "1e300")])
def test_rescaled_to_nothing(tmp_path, study, slope, intercept):
    study.datasets[3].RescaleSlope, study.datasets[3].RescaleIntercept = slope, intercept
    write(study.datasets, tmp_path)
    refused("E_DAMAGED", tmp_path, "IM0003 has malformed attributes of its grey values")


def test_signed_pixels(tmp_path, study):
    signed = study.stored.astype(np.int16) - 1000
    for index, dataset in enumerate(study.datasets):
        s, t = divmod(index, 8)
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 13, 12
        dataset.PixelData = signed[t, s].tobytes()
    image = read(study.datasets, tmp_path).image
    assert image.dtype == np.int16
    np.testing.assert_array_equal(image, signed)


def test_monochrome1_is_inverted(tmp_path, study):
    set_all(study, PhotometricInterpretation="MONOCHROME1")
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, 4095 - study.stored)
    assert [note.code for note in cine.notes] == ["N_MONOCHROME1"]


def test_padding_becomes_dark(tmp_path, study):
    for index, dataset in enumerate(study.datasets):
        s, t = divmod(index, 8)
        study.stored[t, s, :4] = 4095
        dataset.PixelData, dataset.PixelPaddingValue = study.stored[t, s].tobytes(), 4095
        study.stored[t, s, :4] = study.stored[t, s, 4:].min()
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.stored)
    assert [note.code for note in cine.notes] == ["N_PADDING"]


def described(**values):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = 0, "MONOCHROME2", 1
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def words_of(pixels_, dataset):
    return np.array(pixels_, dtype=np.uint16).view(np.int16 if dataset.PixelRepresentation else np.uint16)


def stored(pixels_, **values):
    """Pixels of 16-bit words, and the codes of notes."""
    dataset = described(**values)
    words = words_of(pixels_, dataset)
    bits = StoredBits(Field.of(pixel_header(dataset)[0], dataset), [words])
    return bits.values(words).tolist(), [note.text for note in bits.notes()]


@pytest.mark.parametrize(
    ("words", "header", "pixels_"),
    [
        ([0x0123, 0x0FFF], {}, [0x123, 0xFFF]),
        ([0x0FFF, 0x07FF], {"PixelRepresentation": 1}, [-1, 0x7FF]),
        ([0xFFFF, 0x07FF], {"PixelRepresentation": 1}, [-1, 0x7FF]),
        ([0x1230, 0xFFF0], {"HighBit": 15}, [0x123, 0xFFF]),
        ([0x1230, 0xFFF0], {"HighBit": 15, "PixelRepresentation": 1}, [0x123, -1]),
        ([0xF123, 0x8123], {"BitsStored": 16, "HighBit": 15}, [0xF123, 0x8123]),
    ],
)
def test_bits_as_the_header_says(words, header, pixels_):
    assert stored(words, **header) == (pixels_, [])


@pytest.mark.parametrize(
    ("words", "header", "pixels_", "bits"),
    [
        ([0x1123, 0x0FFF, 0x0007], {}, [0x1123, 0xFFF, 7], 13),
        ([0x1123, 0x2FFF, 0xF800], {"PixelRepresentation": 1}, [0x1123, 0x2FFF, -0x800], 15),
        ([0x0123, 0x0777], {"HighBit": 15}, [0x123, 0x777], 11),
        ([0x0123, 0x0777], {"BitsStored": 10, "HighBit": 9}, [0x123, 0x777], 11),
        ([0x7123, 0x0777], {"BitsStored": 8, "HighBit": 11}, [0x7123, 0x777], 15),
    ],
)
def test_bits_that_contradict_the_header(words, header, pixels_, bits):
    read_, notes = stored(words, **header)
    assert read_ == pixels_
    assert len(notes) == 1 and notes[0].endswith(f"leave out bits that hold data; pixels were read with {bits} bits")


def test_a_lone_bit_far_above_the_pixels_is_cut():
    assert stored([0x8123, 0x0777]) == ([0x123, 0x777], [stored([0x8123])[1][0]])
    assert stored([0x8123])[1][0].endswith("were cut")


def test_declared_overlays_are_cut(tmp_path, study):
    for dataset in study.datasets:
        words = np.frombuffer(dataset.PixelData, "<u2").copy()
        words[10:20] |= 0x1000
        dataset.PixelData = words.tobytes()
    for dataset in study.datasets:
        dataset.add_new(0x60000010, "US", 32)
        dataset.add_new(0x60000100, "US", 16)
        dataset.add_new(0x60000102, "US", 12)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.stored)
    assert cine.notes == ()


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
@pytest.mark.parametrize("inverted", [False, True])
def test_bright_blood_does_not_wrap_to_dark(tmp_path, study, syntax, inverted):
    """Values beyond BitsStored in one slice: all slices keep one scale, also when they are inverted."""
    study.stored[:, 1] *= 4
    for index, dataset in enumerate(study.datasets):
        s, t = divmod(index, 8)
        dataset.PixelData = study.stored[t, s].tobytes()
        if syntax.is_compressed:
            dataset.compress(syntax, generate_instance_uid=False)
        if inverted:
            dataset.PhotometricInterpretation = "MONOCHROME1"
    cine = read(study.datasets, tmp_path)
    bits = int(study.stored.max()).bit_length()
    assert bits > 12
    np.testing.assert_array_equal(cine.image, (1 << bits) - 1 - study.stored if inverted else study.stored)
    assert [note.code for note in cine.notes] == ["N_BITS_STORED", "N_MONOCHROME1"][: 1 + inverted]


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        ({"SamplesPerPixel": None}, "SamplesPerPixel"),
        ({"PhotometricInterpretation": None}, "PhotometricInterpretation"),
        ({"PhotometricInterpretation": "YBR_FULL"}, "PhotometricInterpretation"),
        ({"BitsStored": None, "HighBit": None}, "BitsStored"),
        ({"BitsStored": 17}, "BitsStored"),
        ({"HighBit": 3}, "HighBit"),
        ({"BitsAllocated": None}, "BitsAllocated"),
        ({"PixelRepresentation": None}, "PixelRepresentation"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "RescaleSlope"),
    ],
)
def test_what_is_absent_or_impossible_gets_its_obvious_value(tmp_path, study, edit, name):
    for dataset in study.datasets:
        for attribute, value in edit.items():
            if value is None:
                delattr(dataset, attribute)
            else:
                setattr(dataset, attribute, value)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.stored)
    assert {note.code for note in cine.notes} == {"N_PIXEL_ATTRIBUTE"}
    assert any(name in note.text for note in cine.notes)


@pytest.mark.parametrize(("element", "kind"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_float_pixels(tmp_path, study, element, kind):
    for index, dataset in enumerate(study.datasets):
        s, t = divmod(index, 8)
        del dataset.PixelData, dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit
        dataset.BitsAllocated = 8 * np.dtype(kind).itemsize
        setattr(dataset, element, (study.stored[t, s] / 3).astype(kind).tobytes())
    cine = read(study.datasets, tmp_path)
    assert cine.image.dtype == np.float32 and cine.notes == ()
    np.testing.assert_array_equal(cine.image, (study.stored / 3).astype(np.float32))
    setattr(study.datasets[3], element, np.full(study.stored[0, 0].shape, np.nan, kind).tobytes())
    write(study.datasets, tmp_path)
    refused("E_DAMAGED", tmp_path, "IM0003")


def with_palette(study, *tables):
    for dataset in study.datasets:
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        for channel, table in zip(("Red", "Green", "Blue"), tables, strict=True):
            setattr(dataset, f"{channel}PaletteColorLookupTableDescriptor", [len(table), 0, 16])
            setattr(dataset, f"{channel}PaletteColorLookupTableData", table.astype("<u2").tobytes())


def test_a_grey_palette_is_applied(tmp_path, study):
    table = np.arange(4096)[::-1] * 16
    with_palette(study, table, table, table)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, (4095 - study.stored.astype(int)) * 16)
    assert [note.code for note in cine.notes] == ["N_PALETTE"]


def test_a_palette_of_colours_is_no_magnitude_image(tmp_path, study):
    table = np.arange(4096) * 16
    with_palette(study, table, table, table[::-1])
    write(study.datasets, tmp_path)
    refused("E_NO_SAX", tmp_path)


def test_a_palette_of_colours_in_enhanced_images(tmp_path):
    study = enhanced_study(SMALL)
    table = np.arange(4096) * 16
    with_palette(study, table, table, table[::-1])
    write(study.datasets, tmp_path)
    refused("E_DAMAGED", tmp_path, "a palette of colors")


def test_a_file_that_is_large_and_empty(tmp_path, study):
    """A sparse file of 20 GB beside the study costs nothing; as an image it is refused before memory is taken."""
    write(study.datasets, tmp_path)
    with open(tmp_path / "meas.dat", "wb") as file:
        file.truncate(20 << 30)
    assert read_dicom(tmp_path).image.shape == study.image.shape
    (tmp_path / "meas.dat").unlink()
    with open(tmp_path / "IM0003", "r+b") as file:
        file.truncate(20 << 30)
    assert read_dicom(tmp_path).image.shape == study.image.shape
    small = Budget(Limits(file_bytes=1000), dicom=True)
    dataset = study.datasets[5]
    dataset.PixelData += bytes(100_000)
    write(study.datasets, tmp_path)
    refused("E_TOO_LARGE", tmp_path, "at most 1000 bytes to be read of one file", budget=small)


def padded(pixels_, **values):
    dataset = described(**values)
    return without_padding(dataset, words_of(pixels_, dataset)).tolist()


def test_padding_in_all_its_ways():
    assert padded([0, 5, 9], PixelPaddingValue=0) == [0, 5, 9]
    assert padded([100, 5, 9], PixelPaddingValue=100) == [5, 5, 9]
    assert padded([100, 5, 9, 102], PixelPaddingValue=100, PixelPaddingRangeLimit=102) == [5, 5, 9, 5]
    assert padded([7, 7], PixelPaddingValue=7) == [7, 7]
    assert padded([0x8000, 5, 9], PixelPaddingValue=0x8000, PixelRepresentation=1) == [5, 5, 9]
    assert padded([0, 5, 9], PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1") == [9, 5, 9]


def test_padding_that_no_pixel_has_is_not_noted(tmp_path, study):
    set_all(study, PixelPaddingValue=63536)
    assert read(study.datasets, tmp_path).notes == ()


def test_modality_table():
    dataset = pydicom.Dataset()
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 16], [5, 50, 500, 5000]
    dataset.ModalityLUTSequence = [table]
    values = modality_values(dataset, None, np.array([[0, 1], [2, 3]], dtype=np.uint16))
    np.testing.assert_array_equal(values, np.float32([[5, 50], [500, 5000]]))


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.RLELossless])
@pytest.mark.parametrize("make", [classic_study, enhanced_study])
def test_truncated_pixels(tmp_path, syntax, make):
    study = make(SMALL)
    dataset = study.datasets[1]
    if syntax.is_compressed:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    paths = write(study.datasets, tmp_path)
    content = paths[1].read_bytes()
    start = content.rindex(b"\xe0\x7f\x10\x00")
    for end in (start, start + 6, len(content) - 700, len(content) - 1):
        paths[1].write_bytes(content[:end])
        refused("E_TRUNCATED", tmp_path, "IM0001")
    paths[1].write_bytes(content)
    assert read_dicom(tmp_path).image.shape == study.image.shape


def test_pixel_data_shorter_than_rows_and_columns(tmp_path, study):
    study.datasets[4].Rows = 33
    for dataset in study.datasets:
        dataset.Rows = 33
        dataset.PixelData += bytes(80)
    study.datasets[4].PixelData = study.datasets[4].PixelData[:-2]
    write(study.datasets, tmp_path)
    refused("E_TRUNCATED", tmp_path, "IM0004 has 2638 of 2640 bytes")


def test_truncated_header(tmp_path, study):
    paths = write(study.datasets, tmp_path)
    content = paths[3].read_bytes()
    for end in (132, 140, 200, 300, 700, 1200):
        paths[3].write_bytes(content[:end])
        with pytest.raises(DicomError, match="IM0003") as caught:
            read_dicom(tmp_path)
        assert caught.value.code in ("E_TRUNCATED", "E_DAMAGED")
    listed = list_groups(tmp_path)
    assert len(listed.damaged) <= 1
    assert len(listed.groups) >= 1


def test_absurd_sizes_are_refused_before_memory_is_taken(tmp_path, study):
    set_all(study, Rows=65535, Columns=65535)
    write(study.datasets, tmp_path / "matrix")
    refused("E_TRUNCATED", tmp_path / "matrix", "of 8589672450 bytes")
    (dataset,) = enhanced_study(Recipe(slices=3, size=(32, 40), series_per_slice=False)).datasets
    dataset.NumberOfFrames = 2**31 - 1
    write([dataset], tmp_path / "frames")
    refused("E_TRUNCATED", tmp_path / "frames", "of 5497558136320 bytes")
    whole = classic_study(SMALL)
    write(whole.datasets, tmp_path / "many")
    small = Budget(Limits(side=39), dicom=True)
    refused("E_TOO_LARGE", tmp_path / "many", "at most 39 rows or columns, got 40 at IM0000", budget=small)
    few = Budget(Limits(pixels=8 * 3 * 32 * 40 - 1), dicom=True)
    refused("E_TOO_LARGE", tmp_path / "many", "at most 30719 pixels in one input", budget=few)


def test_a_deflated_bomb(tmp_path, study):
    set_all(study, ImageComments="0" * 9000)
    for number, dataset in enumerate(study.datasets):
        dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
        pydicom.dcmwrite(tmp_path / f"{number}", dataset)
    small = Budget(Limits(part_bytes=8000), dicom=True)
    refused("E_TOO_LARGE", tmp_path, "at most 8000 bytes in .* a deflated dataset", budget=small)


def test_frames_without_functional_groups(tmp_path):
    study = enhanced_study(SMALL)
    del study.datasets[1].PerFrameFunctionalGroupsSequence[5]
    write(study.datasets, tmp_path)
    refused("E_DAMAGED", tmp_path, "IM0001 has 8 frames and functional groups for 7")
