"""DICOM cines in: a real study by its literals, synthetic ones by their truth."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from synthetic_dicom import SECRETS, Recipe, classic_study, decoys, write
from synthetic_enhanced import enhanced_study

from cardiacseg.io.dicom.headers import items
from cardiacseg.io.dicom.read import list_groups, read_dicom

REAL = Path(__file__).parents[3] / "shared/dicom/cine_study"
RESCALED = Recipe(rescale=(2.5, -7.0))


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip("the real study is not beside this checkout")
    return read_dicom(REAL)


def test_real_study(real):
    assert real.image.shape == (25, 6, 208, 256)
    assert real.image.dtype == np.uint16
    # Thickness is 6 mm, and no attribute says 17.7.
    assert real.spacing == pytest.approx((17.7, 1.40625, 1.40625), abs=1e-3)
    assert real.dicom.slice_thickness_mm == 6
    assert real.geometry.size == (256, 208, 6)
    np.testing.assert_allclose(real.geometry.slice_positions()[0], [-159.772, -134.36, -125.574])
    np.testing.assert_allclose(real.geometry.slice_positions()[5], [-202.214, -79.6032, -70.5046], atol=2e-3)
    assert real.notes == ()


def test_real_study_times(real):
    assert real.timing.rr_interval_ms == pytest.approx(np.mean([863, 860, 829, 776, 814, 831]))
    assert "NominalInterval" in real.timing.rr_source
    # 25 phases of a beat of 828.83 ms, the first at the R wave.
    np.testing.assert_allclose(real.timing.frame_times_ms, np.arange(25) * 828.8333 / 25, atol=0.02)
    assert (real.body.height_m, real.body.weight_kg) == (None, None)


def test_real_study_sources(real):
    series = [frame.series_instance_uid for frame in real.dicom.frames[0]]
    numbers = [real.dicom.instances[f.sop_instance_uid].SeriesNumber for f in real.dicom.frames[0]]
    assert len(set(series)) == 6
    assert numbers == [12001, 11001, 10001, 9001, 8001, 7001], "apex first; the folders' order is another"
    for t, frames in enumerate(real.dicom.frames):
        for s, frame in enumerate(frames):
            header = real.dicom.instances[frame.sop_instance_uid]
            assert header.InstanceNumber == t + 1
            assert "PixelData" not in header
            assert frame.frame_number is None
            np.testing.assert_allclose(frame.position, real.geometry.slice_positions()[s], atol=2e-3)


def test_real_study_pixels_are_those_of_their_sources(real):
    frame = real.dicom.frames[7][2]
    path = next(p for p in REAL.glob("*/*.dcm") if p.stem.replace("-", ".") == frame.sop_instance_uid)
    np.testing.assert_array_equal(real.image[7, 2], pydicom.dcmread(path).pixel_array)


def test_real_study_decoys_are_rejected_with_reasons():
    if not REAL.is_dir():
        pytest.skip("the real study is not beside this checkout")
    found = list_groups(REAL)
    assert [group.taken for group in found.groups] == [True] + [False] * 5
    assert found.groups[0].series_numbers == [7001, 8001, 9001, 10001, 11001, 12001]
    assert [group.series_numbers for group in found.groups[1:]] == [[14001], [16001], [17001], [19001], [22001]]
    assert {group.code for group in found.groups[1:]} == {"R_FEW_SLICES"}
    assert found.problem is None


def check_against_truth(cine, study):
    np.testing.assert_array_equal(cine.image, study.image)
    assert cine.image.dtype == study.image.dtype
    np.testing.assert_allclose(cine.geometry.affine_lps(), study.geometry.affine_lps(), atol=1e-8)
    assert cine.geometry.size == study.geometry.size
    assert cine.spacing == pytest.approx(study.recipe.spacing)
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.01)
    assert cine.timing.rr_interval_ms == pytest.approx(study.rr_interval_ms)


@pytest.mark.parametrize("recipe", [Recipe(), RESCALED, Recipe(series_per_slice=False)])
def test_classic_study_among_decoys(tmp_path, recipe):
    study = classic_study(recipe)
    write(study.datasets + decoys(recipe), tmp_path, shuffle=1)
    cine = read_dicom(tmp_path)
    check_against_truth(cine, study)
    assert cine.notes == ()
    assert cine.path == tmp_path


@pytest.mark.parametrize("recipe", [Recipe(), RESCALED, Recipe(series_per_slice=False)])
@pytest.mark.parametrize("shuffle", [None, 4])
def test_enhanced_equals_classic(tmp_path, recipe, shuffle):
    write(classic_study(recipe).datasets, tmp_path / "classic")
    study = enhanced_study(recipe, shuffle)
    write(study.datasets, tmp_path / "enhanced")
    classic, enhanced = read_dicom(tmp_path / "classic"), read_dicom(tmp_path / "enhanced")
    check_against_truth(enhanced, study)
    assert enhanced.image.tobytes() == classic.image.tobytes()
    assert enhanced.timing == classic.timing
    assert enhanced.dicom.orientation == classic.dicom.orientation


def test_enhanced_sources_name_their_frames(tmp_path):
    study = enhanced_study(Recipe(series_per_slice=False), shuffle=2)
    write(study.datasets, tmp_path)
    cine = read_dicom(tmp_path)
    stored = study.datasets[0].pixel_array
    for t, frames in enumerate(cine.dicom.frames):
        for s, frame in enumerate(frames):
            np.testing.assert_array_equal(stored[frame.frame_number - 1], cine.image[t, s])
    assert list(cine.dicom.instances) == [study.datasets[0].SOPInstanceUID]


def test_body(tmp_path):
    write(classic_study(Recipe(height_m=1.75, weight_kg=70.5)).datasets, tmp_path)
    cine = read_dicom(tmp_path)
    assert (cine.body.height_m, cine.body.weight_kg, cine.notes) == (1.75, 70.5, ())


@pytest.mark.parametrize(("height", "weight", "notes"), [(0, 0, 0), (178, 70, 1), (1.78, 7000, 1), (float(5), 0.2, 2)])
def test_a_body_that_cannot_be_is_unknown(tmp_path, height, weight, notes):
    write(classic_study(Recipe(height_m=height, weight_kg=weight)).datasets, tmp_path)
    cine = read_dicom(tmp_path)
    assert cine.body.height_m in (None, 1.78)
    assert cine.body.weight_kg in (None, 70)
    assert [note.code for note in cine.notes] == ["N_BODY"] * notes


def every_text(value) -> Iterable[str]:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)):
        return [text for part in value for text in every_text(part)]
    return [str(value)]


@pytest.mark.parametrize("make", [classic_study, enhanced_study])
def test_nothing_that_is_said_names_the_patient(tmp_path, make):
    study = make(Recipe(height_m=178))
    datasets = study.datasets + decoys(study.recipe)
    write(datasets, tmp_path)
    cine, listed = read_dicom(tmp_path), list_groups(tmp_path)
    said = [json.dumps(listed.to_dict()), json.dumps(cine.dicom.arrangement), *(note.text for note in cine.notes)]
    assert len(cine.notes) == 1
    uids = {dataset[name].value for dataset in datasets for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    for secret in (*SECRETS, *uids, "178"):
        assert not any(secret in text for text in said), secret


def test_instances_keep_what_results_copy(tmp_path):
    write(classic_study().datasets, tmp_path)
    for instance in read_dicom(tmp_path).dicom.instances.values():
        assert instance.PatientID == "MADEUP-4711"
        assert instance.FrameOfReferenceUID
        assert instance.file_meta.TransferSyntaxUID
        assert "PixelData" not in instance


def test_groups_of_many_frames_are_not_copied_for_each_frame():
    instance = enhanced_study(Recipe(series_per_slice=False)).datasets[0]
    assert items(instance, "PerFrameFunctionalGroupsSequence") is instance.PerFrameFunctionalGroupsSequence
    assert list(items(instance, "NoSuchSequence")) == list(items(instance, "PatientName")) == []
