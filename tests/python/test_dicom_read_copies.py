"""Images that came more than once, and different images under one UID."""

import zipfile
from copy import deepcopy

import numpy as np
import pydicom
import pytest
from dicom_reading import SMALL, read, set_all
from highdicom.legacy import LegacyConvertedEnhancedMRImage
from made_up_dicom import Recipe, classic_study, write
from made_up_enhanced import enhanced_study

from cardiacseg.io.dicom.read import list_groups


@pytest.fixture
def study():
    return classic_study(SMALL)


def codes(cine):
    return [note.code for note in cine.notes]


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
