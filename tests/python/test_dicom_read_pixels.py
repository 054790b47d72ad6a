"""What headers say of grey values, and pixels that are not all there."""

import numpy as np
import pydicom
import pytest
from dicom_reading import read, refused
from made_up_dicom import Recipe, classic_study, write
from made_up_enhanced import enhanced_study
from pydicom import uid

from cardiacseg.errors import DicomError
from cardiacseg.io.budget import Budget, Limits
from cardiacseg.io.dicom.grey_values import modality_values, stored_values
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
    wanted = study.stored.astype(np.float64)
    if make is classic_study:
        for index, dataset in enumerate(study.datasets):
            dataset.RescaleSlope, dataset.RescaleIntercept = str(1 + index), str(-index)
            s, t = divmod(index, 8)
            wanted[t, s] = wanted[t, s] * (1 + index) - index
    else:
        for s, dataset in enumerate(study.datasets):
            del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
            for t, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
                part = pydicom.Dataset()
                part.RescaleSlope, part.RescaleIntercept, part.RescaleType = str(0.5 + t), str(s), "US"
                frame.PixelValueTransformationSequence = [part]
                wanted[t, s] = wanted[t, s] * (0.5 + t) + s
    image = read(study.datasets, tmp_path).image
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, wanted.astype(np.float32))


@pytest.mark.parametrize(("slope", "intercept"), [("0", "0"), ("1e300", "0"), ("1", "1e300")])
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


def grey(pixels_, **values):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    for name, value in values.items():
        setattr(dataset, name, value)
    kind = np.int16 if dataset.PixelRepresentation else np.uint16
    return stored_values(dataset, np.array(pixels_, dtype=np.uint16).view(kind)).tolist()


def test_unused_bits_may_hold_anything():
    assert grey([0xF123, 0x0FFF, 0x8000]) == [0x123, 0xFFF, 0]
    assert grey([0xF123, 0x0FFF, 0x07FF], PixelRepresentation=1) == [0x123, -1, 0x7FF]
    assert grey([0x123F, 0xFFF0], HighBit=15) == [0x123, 0xFFF]
    assert grey([0x123F, 0xFFF0], HighBit=15, PixelRepresentation=1) == [0x123, -1]
    for values in ({"BitsStored": 0}, {"BitsStored": 17}, {"HighBit": 3}, {"HighBit": 16}):
        with pytest.raises(ValueError, match="bits"):
            grey([1], **values)


def test_padding_in_all_its_ways():
    assert grey([0, 5, 9], PixelPaddingValue=0) == [0, 5, 9]
    assert grey([100, 5, 9], PixelPaddingValue=100) == [5, 5, 9]
    assert grey([100, 5, 9, 102], PixelPaddingValue=100, PixelPaddingRangeLimit=102) == [5, 5, 9, 5]
    assert grey([7, 7], PixelPaddingValue=7) == [7, 7]
    both = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15}
    assert grey([0x8000, 5, 9], PixelPaddingValue=0x8000, **both) == [5, 5, 9]


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
