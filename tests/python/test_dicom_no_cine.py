"""Series that are no cine are refused, and a cine that lost attributes is still one."""

import numpy as np
import pytest
from dicom_reading import read, refused
from synthetic_dicom import Recipe, classic_study, write
from synthetic_enhanced import enhanced_study
from test_dicom_stacks import LARGE, change

from cardiacseg.io.dicom.read import list_groups, read_dicom


def perfusion(**attributes):
    """Three slices, one image a beat at a constant time after the R wave."""
    study = classic_study(Recipe(slices=3, size=(32, 40), frames=12))
    times = {"TriggerTime": lambda s, t: str(150 * s), "AcquisitionTime": lambda s, t: f"1020{t:02}.5"}
    return change(study, range(3), SeriesDescription="rest_perfusion", InversionTime="100", **times | attributes)


def molli():
    return change(
        classic_study(Recipe(slices=3, size=(32, 40))),
        range(3),
        InversionTime=lambda s, t: str((100, 180, 260, 1000, 1080, 1900, 1980, 2800)[t]),
    )


NO_CINES = {
    "perfusion": (perfusion(), "same time after the R wave"),
    "perfusion without trigger times": (perfusion(TriggerTime=None), "one beat after the other"),
    "trigger times that tremble": (perfusion(TriggerTime=lambda s, t: f"{300 + t % 3}"), "same time after the R wave"),
    "trigger times that run on, without a clock": (
        perfusion(TriggerTime=lambda s, t: str(150 * s + 850 * t), AcquisitionTime=""),
        "one beat after the other",
    ),
    "trigger times that tremble and all differ, without a clock": (
        perfusion(TriggerTime=lambda s, t: f"{300 + t / 10}", AcquisitionTime=""),
        "same time after the R wave",
    ),
    "only its name and inversion time": (perfusion(TriggerTime=None, AcquisitionTime=""), "its name"),
    "MOLLI": (molli(), "the inversion time changes"),
}


@pytest.mark.parametrize(("study", "words"), NO_CINES.values(), ids=NO_CINES)
def test_what_is_no_cine_is_refused(tmp_path, study, words):
    write(study.datasets, tmp_path)
    refused("E_NOT_A_CINE", tmp_path, "no stack is certain to be a cine; g1", words, "--list")
    (group,) = list_groups(tmp_path).groups
    assert group.code == "R_NOT_A_CINE"
    assert words in group.reason
    for series in ("g1", "7001,8001,9001"):
        cine = read_dicom(tmp_path, series=series)
        np.testing.assert_array_equal(cine.image, study.image)
        assert cine.notes[0].code == "N_NOT_A_CINE"
        assert words in cine.notes[0].text


@pytest.mark.parametrize("attributes", [{}, {"ScanningSequence": "", "SequenceVariant": "", "EchoTime": None}])
def test_perfusion_beside_a_cine(tmp_path, attributes):
    """In the same planes, and where the sequence was removed from the headers."""
    study, other = classic_study(LARGE), perfusion()
    for dataset in other.datasets:
        dataset.StudyInstanceUID, dataset.SeriesNumber = LARGE.uid("study"), 50 + dataset.SeriesNumber // 1000
        dataset.SeriesInstanceUID = f"1.2.{dataset.SeriesNumber}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID[:50] + ".9"
        dataset.FrameOfReferenceUID = LARGE.uid("frame of reference")
    change(study, range(6), **attributes)
    change(other, range(3), **attributes)
    cine = read(study.datasets + other.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert not cine.notes


NO_SIGNS = {
    "no times, no names": {
        "TriggerTime": None,
        "AcquisitionTime": "",
        "SeriesDescription": "",
        "NominalInterval": None,
    },
    "trigger times of zero": {"TriggerTime": "0"},
    "a name alone": {"SeriesDescription": "rest_perfusion", "TriggerTime": None, "AcquisitionTime": ""},
    "a constant inversion time": {"InversionTime": "300"},
    "trigger times in seconds": {"TriggerTime": lambda s, t: f"{0.1 * t:.1f}"},
    "trigger times in microseconds, of short frames": {"TriggerTime": lambda s, t: str(12000 * t)},
    "times that were changed in each file": {
        "TriggerTime": None,
        "AcquisitionTime": lambda s, t: f"{(7 * t + s) % 24:02}0000",
    },
    "percentages of the beat": {
        "TriggerTime": "12",
        "AcquisitionTime": "",
        "NominalPercentageOfCardiacPhase": lambda s, t: 12.5 * t,
    },
    "trigger times that count the examination": {"TriggerTime": lambda s, t: str(300000 + 100 * t)},
}


@pytest.mark.parametrize("attributes", NO_SIGNS.values(), ids=NO_SIGNS)
def test_a_cine_that_lost_attributes_is_still_one(tmp_path, attributes):
    study = change(classic_study(LARGE), range(6), **attributes)
    np.testing.assert_array_equal(read(study.datasets, tmp_path).image, study.image)


def test_enhanced_inversion_times(tmp_path):
    study = enhanced_study(Recipe(slices=3, size=(32, 40)))
    for dataset in study.datasets:
        for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            modifier = type(dataset)()
            modifier.InversionRecovery, modifier.InversionTimes = "YES", 100.0 + 80 * index
            frame.MRModifierSequence = [modifier]
    write(study.datasets, tmp_path)
    refused("E_NOT_A_CINE", tmp_path, "the inversion time changes")
