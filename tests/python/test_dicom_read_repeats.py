"""Slices that were acquired more than once, and images that came again."""

import zipfile
from copy import deepcopy

import numpy as np
import pydicom
import pytest
from dicom_reading import SMALL, read, refused, set_all
from highdicom.legacy import LegacyConvertedEnhancedMRImage
from synthetic_dicom import Recipe, classic_study, write
from synthetic_enhanced import enhanced_study

from cardiacseg.io.dicom.read import list_groups, read_dicom


@pytest.fixture
def study():
    return classic_study(SMALL)


def codes(cine):
    return [note.code for note in cine.notes]


def repeat_slice(study, s, name, brighter=50, **values):
    """Slice ``s`` once more, in a series of its own unless ``values`` say otherwise."""
    made = []
    for t in range(study.recipe.frames):
        again = type(study.at(s, t)).from_json(study.at(s, t).to_json())
        again.file_meta = type(study.at(s, t).file_meta).from_json(study.at(s, t).file_meta.to_json())
        again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = SMALL.uid(name, s, t)
        again.SeriesInstanceUID = SMALL.uid(name)
        again.TriggerTime = f"{float(again.TriggerTime) * 1.03:.2f}"
        again.PixelData = (study.stored[t, s] + brighter).astype("<u2").tobytes()
        for key, value in values.items():
            setattr(again, key, value)
        made.append(again)
    return made


def test_a_slice_taken_twice(tmp_path, study):
    again = repeat_slice(study, 1, "retake", AcquisitionTime="110000", SeriesNumber=1)
    write(study.datasets + again, tmp_path, shuffle=4)
    refused("E_DUPLICATE_SLICE", tmp_path, "slice 2 was acquired 2 times", "`latest_retake`", "`series`")
    cine = read_dicom(tmp_path, latest_retake=True)
    np.testing.assert_array_equal(cine.image[:, 1], study.image[:, 1] + 50)
    np.testing.assert_array_equal(np.delete(cine.image, 1, 1), np.delete(study.image, 1, 1))
    (note,) = cine.notes
    assert note.code == "N_LATEST_RETAKE"
    assert note.text.startswith("slice 2 was acquired 2 times")
    assert {f.series_instance_uid for f in (frames[1] for frames in cine.dicom.frames)} == {SMALL.uid("retake")}


def test_the_latest_take_must_be_complete(tmp_path, study):
    again = repeat_slice(study, 1, "retake", AcquisitionTime="110000")[:5]
    cine = read(study.datasets + again, tmp_path, latest_retake=True)
    np.testing.assert_array_equal(cine.image, study.image)
    assert [note.code for note in cine.notes] == ["N_LATEST_RETAKE"]


def test_takes_without_times_by_series_number(tmp_path, study):
    set_all(study, AcquisitionTime="", AcquisitionDate="")
    again = repeat_slice(study, 1, "retake", SeriesNumber=99999)
    cine = read(study.datasets + again, tmp_path, latest_retake=True)
    np.testing.assert_array_equal(cine.image[:, 1], study.image[:, 1] + 50)


def test_a_take_in_the_same_series_by_acquisition_number(tmp_path, study):
    again = repeat_slice(study, 2, "x", AcquisitionNumber=77, SeriesInstanceUID=study.at(2, 0).SeriesInstanceUID)
    cine = read(study.datasets + again, tmp_path, latest_retake=True)
    np.testing.assert_array_equal(cine.image[:, 2], study.image[:, 2] + 50)


def test_doubled_images_that_nothing_tells_apart(tmp_path, study):
    again = repeat_slice(study, 2, "x", SeriesInstanceUID=study.at(2, 0).SeriesInstanceUID)
    write(study.datasets + again, tmp_path)
    for repair in (False, True):
        refused("E_DUPLICATE_SLICE", tmp_path, "slice 3 has 16 frames", "no option can", latest_retake=repair)


def test_a_slice_without_a_complete_take(tmp_path, study):
    again = repeat_slice(study, 1, "retake", AcquisitionTime="110000")[:6]
    write([d for d in study.datasets if d is not study.at(1, 0)] + again, tmp_path)
    refused("E_DUPLICATE_SLICE", tmp_path, "none has the 8 frames of other slices", "the most complete one")
    cine = read_dicom(tmp_path, latest_retake=True, nearest_phase=True)
    np.testing.assert_array_equal(cine.image[1:, 1], study.image[1:, 1])
    assert codes(cine) == ["N_LATEST_RETAKE", "N_NEAREST_PHASE"]
    assert "the most complete repeat was kept" in cine.notes[0].text


PARTS = {
    "random": lambda s, t: (5 * s + 3 * t) % 8 < 3,
    "halves": lambda s, t: t >= 5,
    "odd and even": lambda s, t: t % 2 == 1,
    "two slices": lambda s, t: s > 1 and t > 2,
    "one frame": lambda s, t: t == 7,
    "one frame of a slice": lambda s, t: (s, t) == (2, 0),
}


def split(study, second, told_by):
    """The frames of ``second`` in another series or acquisition."""
    if told_by == "series":
        own = {s: study.at(s, 0).SeriesInstanceUID for s in range(4)}
        set_all(study, SeriesInstanceUID=lambda s, t: SMALL.uid("second", s) if second(s, t) else own[s])
    else:
        set_all(study, AcquisitionNumber=lambda s, t: 1 + second(s, t))


@pytest.mark.parametrize("told_by", ["series", "acquisition"])
@pytest.mark.parametrize("second", PARTS.values(), ids=PARTS.keys())
@pytest.mark.parametrize("repair", [False, True])
def test_one_run_in_two_series_or_acquisitions(tmp_path, study, told_by, second, repair):
    split(study, second, told_by)
    cine = read(study.datasets, tmp_path, latest_retake=repair)
    np.testing.assert_array_equal(cine.image, study.image)
    assert codes(cine) == ["N_ONE_RUN"]


@pytest.mark.parametrize("name", ["TemporalPositionIdentifier", "InstanceNumber"])
def test_one_run_by_numbers_where_there_are_no_times(tmp_path, study, name):
    split(study, PARTS["halves"], "series")
    set_all(study, TriggerTime=None, InstanceNumber=None)
    set_all(study, **{name: lambda s, t: t + 1})
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert "N_ONE_RUN" in codes(cine)


@pytest.mark.parametrize("slices", [(1,), (0, 1, 2, 3)])
def test_takes_that_begin_at_other_times_are_no_run(tmp_path, study, slices):
    """No trigger time comes twice; the images of both together are not evenly far apart."""
    again = [image for s in slices for image in repeat_slice(study, s, f"again {s}", AcquisitionTime="110000")]
    for image in again:
        image.TriggerTime = f"{float(image.TriggerTime) + 7:.2f}"
    write(study.datasets + again, tmp_path)
    refused("E_DUPLICATE_SLICE", tmp_path, f"slice {slices[0] + 1} was acquired 2 times")


def test_a_take_whose_numbers_go_on_is_no_run(tmp_path, study):
    again = repeat_slice(study, 1, "x", AcquisitionNumber=77, SeriesInstanceUID=study.at(1, 0).SeriesInstanceUID)
    for number, image in enumerate(again, start=9):
        image.InstanceNumber = number
    for image in (*study.datasets, *again):
        image.TriggerTime = None
    write(study.datasets + again, tmp_path)
    refused("E_DUPLICATE_SLICE", tmp_path, "slice 2 was acquired 2 times")


def test_equal_headers_with_other_pixels_are_no_copies(tmp_path, study):
    again = repeat_slice(study, 1, "retake")
    for t, image in enumerate(again):
        image.TriggerTime = study.at(1, t).TriggerTime
    write(study.datasets + again, tmp_path)
    refused("E_DUPLICATE_SLICE", tmp_path, "slice 2 was acquired 2 times")


def copied(datasets, **values):
    """The same images once more; a value may be a function of the image."""
    made = []
    for image in datasets:
        again = deepcopy(image)
        for name, value in values.items():
            setattr(again, name, value(image) if callable(value) else value)
        again.file_meta.MediaStorageSOPInstanceUID = again.SOPInstanceUID
        made.append(again)
    return made


COPIES = {
    "renumbered": {"InstanceNumber": lambda d: d.InstanceNumber + 100, "SeriesDescription": "copy"},
    "renumbered series": {"SeriesNumber": 3, "SeriesInstanceUID": SMALL.uid("again")},
    "resent": {"SOPInstanceUID": lambda d: SMALL.uid(d.SOPInstanceUID), "SeriesInstanceUID": SMALL.uid("again")},
}


@pytest.mark.parametrize("values", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("part", [slice(None), slice(0, 16), slice(3, 5)])
@pytest.mark.parametrize("trigger", [True, False])
def test_copies_with_other_headers_are_read_once(tmp_path, study, values, part, trigger):
    if not trigger:
        set_all(study, TriggerTime=None)
    cine = read(study.datasets + copied(study.datasets[part], **values), tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    (note,) = (note for note in cine.notes if note.code == "N_SAME_PIXELS")
    assert note.text.startswith(f"{len(study.datasets[part])} images came again under other headers")
    assert not {"N_ONE_RUN", "N_REPEATED_UID"} & set(codes(cine))
    assert cine.dicom.unusable_for_results == ""


def test_copies_in_another_transfer_syntax(tmp_path, study):
    again = copied(study.datasets, **COPIES["resent"])
    for image in again:
        image.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    cine = read(study.datasets + again, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert codes(cine) == ["N_SAME_PIXELS"]


@pytest.mark.parametrize("slices", [4, 2])
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("per_slice", [True, False])
def test_classic_and_enhanced_twins(tmp_path, slices, legacy, per_slice):
    """A PACS keeps what it converted beside what it was sent: all of it, or of some slices."""
    recipe = Recipe(slices=4, size=(32, 40), series_per_slice=per_slice)
    study = classic_study(recipe)
    if legacy:
        of_slices = [study.datasets[8 * s : 8 * s + 8] for s in range(slices)]
        runs = of_slices if per_slice else [study.datasets[: 8 * slices]]
        twins = [
            LegacyConvertedEnhancedMRImage(run, recipe.uid(n), 90 + n, recipe.uid(n, 1), 1)
            for n, run in enumerate(runs)
        ]
    else:
        twins = enhanced_study(recipe).datasets[:slices]
    cine = read(study.datasets + twins, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.02)
    assert codes(cine) == ["N_SAME_PIXELS"]
    assert "as classic and as Enhanced MR" in cine.notes[0].text
    assert {frame.frame_number for frames in cine.dicom.frames for frame in frames} == {None}


def test_enhanced_twin_that_holds_more(tmp_path, study):
    """The classic images of a slice were lost, the conversion has all: no frame is left out."""
    twin = enhanced_study(Recipe(slices=4, size=(32, 40), series_per_slice=False))
    cine = read(study.datasets[:20] + twin.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert codes(cine) == ["N_SAME_PIXELS"]
    assert list(cine.dicom.instances) == [twin.datasets[0].SOPInstanceUID]


def test_legacy_converted_alone(tmp_path):
    """Times that have no functional group of their own are kept as the classic images had them."""
    study = classic_study(Recipe(slices=4, size=(32, 40), series_per_slice=False))
    made = LegacyConvertedEnhancedMRImage(study.datasets, SMALL.uid("legacy"), 90, SMALL.uid("legacy", 1), 1)
    cine = read([made], tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert cine.timing.rr_interval_ms == pytest.approx(study.rr_interval_ms)
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.02)
    assert cine.notes == ()


UIDS = {
    "one for all": lambda s, t: "1.2.3.4",
    "unique in a series": lambda s, t: f"1.2.3.{t}",
    "two frames": lambda s, t: SMALL.uid(s, 0 if t == 3 else t),
    "none": lambda s, t: "",
}


@pytest.mark.parametrize("uid_of", UIDS.values(), ids=UIDS.keys())
def test_different_images_with_one_uid(tmp_path, study, uid_of):
    set_all(study, SOPInstanceUID=uid_of)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert codes(cine) == ["N_REPEATED_UID"]
    assert "SOPInstanceUID" in cine.dicom.unusable_for_results


def test_copies_in_a_zip_are_listed_once(tmp_path, study):
    write(study.datasets + copied(study.datasets, **COPIES["resent"]), tmp_path / "study")
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in (tmp_path / "study").iterdir():
            archive.write(path, path.name)
    assert [len(group.frames) for group in list_groups(tmp_path / "study.zip").groups] == [32]
