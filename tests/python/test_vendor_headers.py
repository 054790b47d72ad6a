"""Cine studies with the header structure of several vendors are read as the same cine."""

import numpy as np
import pytest
from dicom_reading import read, refused
from pydicom.uid import ImplicitVRLittleEndian
from synthetic_dicom import Recipe, write
from synthetic_enhanced import enhanced_study, item
from vendor_headers import canon, philips, siemens, uih, uih_grid

from cardiacseg.io.dicom.read import list_groups
from cardiacseg.io.dicom_results import result_notes

RECIPE = Recipe(frames=9, slices=4, size=(32, 40))


def implicit(study):
    """As a PACS may keep it: the VRs of private attributes are lost."""
    for dataset in study.datasets:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return study


STUDIES = {
    "Philips": philips(RECIPE),
    "Philips, private times": philips(RECIPE, public_times=False),
    "Philips, implicit VR": implicit(philips(RECIPE, public_times=False)),
    "Canon": canon(RECIPE),
    "Siemens": siemens(RECIPE),
    "UIH": uih(RECIPE),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The same cine with the header of the standard."""
    return read(enhanced_study(RECIPE).datasets, tmp_path_factory.mktemp("standard"))


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_the_cine_of_each_vendor(study, expected, tmp_path):
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    np.testing.assert_allclose(cine.geometry.origin, expected.geometry.origin)
    np.testing.assert_allclose(cine.geometry.direction, expected.geometry.direction)
    assert cine.spacing == pytest.approx(expected.spacing)
    # Philips has the RR interval as a heart rate, in whole beats.
    np.testing.assert_allclose(cine.timing.frame_times_ms, expected.timing.frame_times_ms, rtol=0.01)
    assert cine.timing.rr_interval_ms == pytest.approx(expected.timing.rr_interval_ms, rel=0.01)
    assert set(cine.dicom.arrangement["phase_order"]) <= {"trigger time", "temporal position"}
    assert not cine.notes and not result_notes(cine)


def test_phases_without_times(tmp_path):
    study = philips(RECIPE, public_times=False)
    (dataset,) = study.datasets
    frames = list(dataset.PerFrameFunctionalGroupsSequence)
    for frame in frames:
        del frame.private_block(0x2005, "Philips MR Imaging DD 005")[0x0F].value[0].TriggerTime
    dataset.PerFrameFunctionalGroupsSequence = frames[::-1]  # the order of the frames says nothing
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(len(frames), -1)
    dataset.PixelData = pixels[::-1].tobytes()
    for made, folder in ((study, tmp_path / "philips"), (canon(RECIPE, times=False), tmp_path / "canon")):
        cine = read(made.datasets, folder)
        np.testing.assert_array_equal(cine.image, made.image)
        assert set(cine.dicom.arrangement["phase_order"]) == {"temporal position"}
        assert cine.timing.frame_times_ms is None


def test_phase_images_in_the_same_instance(expected, tmp_path):
    """Philips keeps magnitude and phase images of an acquisition in one instance."""
    study = philips(RECIPE)
    (dataset,) = study.datasets
    frames = list(dataset.PerFrameFunctionalGroupsSequence)
    others = list(philips(RECIPE).datasets[0].PerFrameFunctionalGroupsSequence)
    for frame in others:
        kind = frame.MRImageFrameTypeSequence[0]
        kind.FrameType, kind.ComplexImageComponent = ["ORIGINAL", "PRIMARY", "T1", "P"], "PHASE"
    dataset.PerFrameFunctionalGroupsSequence = [frame for pair in zip(frames, others, strict=True) for frame in pair]
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(len(frames), -1)
    dataset.NumberOfFrames, dataset.PixelData = 2 * len(frames), np.repeat(pixels, 2, axis=0).tobytes()
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert cine.timing.frame_times_ms == pytest.approx(expected.timing.frame_times_ms, rel=0.01)
    assert [frame[0].frame_number % 2 for frame in cine.dicom.frames] == [1] * 9


def test_tiles_of_uih_are_refused(tmp_path):
    write([uih_grid(RECIPE)], tmp_path)
    refused("E_NO_SAX", tmp_path, "hold several images each")
    (group,) = list_groups(tmp_path).groups
    assert group.code == "R_OTHER"


def test_diffusion_is_not_a_cine(tmp_path):
    study = canon(RECIPE, times=False)
    for frame in study.datasets[0].PerFrameFunctionalGroupsSequence:
        weighted = frame.FrameContentSequence[0].TemporalPositionIndex > 1
        frame.MRDiffusionSequence = item(DiffusionBValue=1500.0 if weighted else 0.0)
    write(study.datasets, tmp_path / "enhanced")
    refused("E_NOT_A_CINE", tmp_path / "enhanced", "diffusion-weighted")
    study = uih(RECIPE)
    for dataset in study.datasets:
        dataset.DiffusionBValue = 1000.0 if dataset.InstanceNumber % 2 else 0.0
    write(study.datasets, tmp_path / "classic")
    refused("E_NOT_A_CINE", tmp_path / "classic", "diffusion-weighted")
