"""Slices of one stack whose headers differ are taken together or named."""

import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from dicom_reading import other_stack, read, refused
from synthetic_dicom import Recipe, classic_study, decimal, write
from synthetic_enhanced import enhanced_study
from test_dicom_groups import tilted

from cardiacseg.io.dicom.groups import group_frames
from cardiacseg.io.dicom.read import list_groups, read_dicom

LARGE = Recipe(slices=6, size=(32, 40))
ALL = ",".join(str(7001 + 1000 * s) for s in range(6))


def change(study, slices, **attributes):
    """Set attributes of all images of some slices; a function of slice and phase gives values that differ."""
    for s, t, (name, value) in product(slices, range(study.recipe.frames), attributes.items()):
        dataset = study.at(s, t)
        if name in dataset:
            del dataset[name]  # the elements of a study are shared by its images
        setattr(dataset, name, value(s, t) if callable(value) else value)
    return study


def note_codes(cine):
    return [note.code for note in cine.notes]


DERIVED = ["DERIVED", "PRIMARY", "M", "RETRO"]
ODD = {
    "frame of reference": ({"FrameOfReferenceUID": "1.2.3"}, "N_FRAME_OF_REFERENCE", "2 FrameOfReferenceUIDs"),
    "no frame of reference": ({"FrameOfReferenceUID": ""}, "N_FRAME_OF_REFERENCE", "2 FrameOfReferenceUIDs"),
    "study": ({"StudyInstanceUID": "1.2.3"}, "N_STUDY_UID", "2 StudyInstanceUIDs"),
    "derived": ({"ImageType": DERIVED, "EchoTime": "1.7"}, "N_DERIVED", "2 of 6 slices"),
}


@pytest.mark.parametrize("slices", [(0, 1), (4, 5), (2, 4)])
@pytest.mark.parametrize(("attributes", "code", "words"), ODD.values(), ids=ODD)
def test_slices_that_differ_and_continue_the_stack_are_taken(tmp_path, slices, attributes, code, words):
    study = change(classic_study(LARGE), slices, **attributes)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == [code]
    assert words in cine.notes[0].text
    by_series = read_dicom(tmp_path, series=ALL)
    np.testing.assert_array_equal(by_series.image, study.image)
    assert note_codes(by_series) == [code]


IDENTIFIERS = {
    "each file": lambda s, t: f"1.2.{s}.{t}",
    "each slice": lambda s, t: f"1.2.{s}",
    "each phase": lambda s, t: f"1.2.{t}",
}


@pytest.mark.parametrize("uid", IDENTIFIERS.values(), ids=IDENTIFIERS)
@pytest.mark.parametrize("name", ["FrameOfReferenceUID", "StudyInstanceUID"])
def test_identifiers_that_tell_nothing(tmp_path, name, uid):
    study = change(classic_study(LARGE), range(6), **{name: uid})
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == ["N_STUDY_UID" if name.startswith("Study") else "N_FRAME_OF_REFERENCE"]


def test_a_study_uid_for_each_series_with_other_stacks_beside(tmp_path):
    study = change(classic_study(LARGE), range(6), SeriesInstanceUID="1.2.9", SeriesNumber=9)
    others = [
        other_stack(LARGE, slices=3, seed=seed, direction=np.eye(3)[:, order])
        for seed, order in ((2, [0, 1, 2]), (3, [1, 2, 0]))
    ]
    for number, part in enumerate([study, *others]):
        uid = f"1.2.{number}"
        change(part, range(part.recipe.slices), StudyInstanceUID=uid, SeriesInstanceUID=uid)
    cine = read(study.datasets + others[0].datasets + others[1].datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert "N_STUDY_UID" in note_codes(cine)


@pytest.mark.parametrize("words", [DERIVED, ["DERIVED", "SECONDARY", "OTHER"], ["ORIGINAL", "SECONDARY", "M"]])
def test_a_stack_that_is_derived_as_a_whole(tmp_path, words):
    study = change(classic_study(LARGE), range(6), ImageType=words)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == ["N_DERIVED"]


def copies(recipe, slices, **attributes):
    """Derived copies of some slices."""
    study = other_stack(recipe, seed=recipe.seed, number=50, **attributes)
    for s in slices:
        for t in range(8):
            dataset = study.at(s, t)
            dataset.ImageType, dataset.SOPInstanceUID = DERIVED, f"1.2.3.{s}.{t}"
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.SeriesInstanceUID = f"1.2.4.{s}"
    return [study.at(s, t) for s in slices for t in range(8)]


def test_derived_copies_of_the_stack_are_not_taken(tmp_path):
    study = classic_study(LARGE)
    cine = read(study.datasets + copies(LARGE, range(6)), tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert not cine.notes
    assert [group.code for group in list_groups(tmp_path).groups] == ["R_DERIVED", "TAKEN"]


def test_a_complete_stack_is_preferred(tmp_path):
    """Two slices of the originals were lost; the derived copies have all."""
    study = classic_study(LARGE)
    cine = read(study.datasets[16:] + copies(LARGE, range(6)), tmp_path)
    assert cine.image.shape[1] == 6
    assert "N_DERIVED" in note_codes(cine)


LEFT_OUT = {
    "component": ({"ComplexImageComponent": "REAL"}, "real or imaginary parts"),
    "phase": ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "phases or velocities"),
}


@pytest.mark.parametrize(("attributes", "words"), LEFT_OUT.values(), ids=LEFT_OUT)
@pytest.mark.parametrize(("slices", "where"), [((0, 1), "2 slices before slice 1"), ((5,), "1 slice after slice 5")])
def test_slices_that_cannot_be_taken_are_named(tmp_path, slices, where, attributes, words):
    study = change(classic_study(LARGE), slices, **attributes)
    write(study.datasets, tmp_path)
    (note,) = read_dicom(tmp_path).notes
    assert note.code == "N_LEFT_OUT"
    assert where in note.text
    assert words in note.text
    lost = next(group for group in list_groups(tmp_path).groups if not group.taken)
    assert (lost.code, words in lost.reason) == ("R_LEFT_OUT", True)
    refused("E_AMBIGUOUS_SAX", tmp_path, "2 groups", words, series=ALL)


def test_colour_pixels_are_named(tmp_path):
    study = classic_study(LARGE)
    for dataset in study.datasets[40:]:
        grey = (dataset.pixel_array // 16).astype("u1")
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelData = np.repeat(grey[..., None], 3, -1).tobytes()
        dataset["PixelData"].VR = "OB"
    (note,) = read(study.datasets, tmp_path).notes
    assert note.code == "N_LEFT_OUT"
    assert "1 slice after slice 5" in note.text
    assert "colors" in note.text


def test_a_gap_is_named(tmp_path):
    study = change(classic_study(LARGE), (2,), ComplexImageComponent="REAL")
    write(study.datasets, tmp_path)
    listed = list_groups(tmp_path).groups
    assert "1 slice between slices 2 and 3" in next(group.reason for group in listed if not group.taken)


def test_slices_that_series_does_not_name(tmp_path):
    (note,) = read(classic_study(LARGE).datasets, tmp_path, series=ALL[:-6]).notes
    assert note.code == "N_LEFT_OUT"
    assert "1 slice after slice 5; `series` does not name them" in note.text


def test_phase_images_in_a_named_series(tmp_path):
    """Some scanners write magnitudes and velocities into one series."""
    study, velocities = classic_study(LARGE), classic_study(LARGE)
    for index, dataset in enumerate(velocities.datasets):
        dataset.ImageType, dataset.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "P"], f"1.2.3.{index}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    cine = read(study.datasets + velocities.datasets, tmp_path, series=ALL)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == ["N_PART_OF_SERIES"]
    assert "48 other images" in cine.notes[0].text


@pytest.mark.parametrize("degrees", [0.3, 1.0])
@pytest.mark.parametrize("pivot", ["corner", "center"])
@pytest.mark.parametrize("slices", [(4, 5), (2,)])
def test_a_small_tilt_is_taken(tmp_path, degrees, pivot, slices):
    study = classic_study(LARGE)
    for s in slices:
        before = study.at(s, 0).ImageOrientationPatient
        tilted(study, s, degrees)
        if pivot == "center":
            turn = np.reshape(before, (2, 3)).astype(float) - np.reshape(
                study.at(s, 0).ImageOrientationPatient, (2, 3)
            ).astype(float)
            moved = np.array([39 / 2 * 2.5, 31 / 2 * 2.75]) @ turn
            change(study, (s,), ImagePositionPatient=decimal(LARGE.geometry.slice_positions()[s] + moved))
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == ["N_TILTED"]
    assert f"{degrees:.1f} degrees" in cine.notes[0].text
    assert ("middle of an image" in cine.notes[0].text) == (pivot == "corner")
    np.testing.assert_allclose(cine.geometry.affine_lps(), study.geometry.affine_lps(), atol=0.05)


def test_a_tilt_from_phase_to_phase(tmp_path):
    study = classic_study(LARGE)
    for t in range(8):
        angle = np.radians(0.02 * t)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        for s in range(6):
            study.at(s, t).ImageOrientationPatient = decimal((LARGE.direction @ turn)[:, :2].T.ravel())
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == ["N_TILTED"]


@pytest.mark.parametrize("echo", ["1.5", "1.9"])
def test_a_tilt_of_3_degrees_is_refused_whatever_the_echo_time(tmp_path, echo):
    study = change(classic_study(LARGE), (4, 5), EchoTime=echo)
    for s in (4, 5):
        tilted(study, s, 3)
    write(study.datasets, tmp_path)
    refused("E_NONPARALLEL", tmp_path, "slice 5 of the stack", "3.0 degrees", "--list")
    refused("E_AMBIGUOUS_SAX", tmp_path, "tilted by 3.0 degrees", series=ALL)


def test_a_tilt_of_12_degrees_is_named(tmp_path):
    study = classic_study(LARGE)
    for s in (4, 5):
        tilted(study, s, 12)
    (note,) = read(study.datasets, tmp_path).notes
    assert note.code == "N_LEFT_OUT"
    assert "2 slices after slice 4; it is tilted by 12.0 degrees" in note.text


def test_a_tilted_scout_of_several_slices_is_not_missed(tmp_path):
    """Its planes cross the stack, whichever of their points is looked at."""
    study = classic_study(LARGE)
    scout = other_stack(LARGE, slices=3, number=50, spacing=(23, 2.75, 2.5))
    for s in range(3):
        tilted(scout, s, 15)
    assert note_codes(read(study.datasets + scout.datasets, tmp_path)) == ["N_OTHER_CANDIDATE"]


def test_slices_alike_of_another_place_are_named(tmp_path):
    """Positions of several frames of reference cannot be compared."""
    study = classic_study(LARGE)
    far = [decimal(LARGE.geometry.slice_positions()[s] + 70 * LARGE.direction[:, 2]) for s in range(6)]
    change(study, (4, 5), FrameOfReferenceUID="1.2.3", ImagePositionPatient=lambda s, t: far[s])
    (note,) = read(study.datasets, tmp_path).notes
    assert note.code == "N_LEFT_OUT"
    assert "2 slices after slice 4" in note.text


def test_another_field_of_view_with_another_echo_time_is_refused(tmp_path):
    study = change(classic_study(LARGE), (4, 5), PixelSpacing=["2.9", "2.9"], EchoTime="1.9")
    write(study.datasets, tmp_path)
    refused("E_MATRIX_MISMATCH", tmp_path, "slice 5 of the stack", "2.9 x 2.9 mm", "--list")
    (note,) = read_dicom(tmp_path, series=ALL[:20]).notes
    assert note.code == "N_LEFT_OUT"


def test_a_larger_stack_of_another_matrix_and_echo_time_is_another(tmp_path):
    """Cines in real time often cover more than those in breath-hold; they are named and refuse nothing."""
    study = classic_study(LARGE)
    origin = tuple(np.subtract(LARGE.origin, 11.5 * LARGE.direction[:, 2]))
    other = other_stack(LARGE, slices=5, number=50, size=(32, 32), spacing=(11.5, 3.1, 3.1), origin=origin)
    change(other, range(5), EchoTime="1.1")
    cine = read(study.datasets + other.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == ["N_OTHER_CANDIDATE", "N_LEFT_OUT"]
    assert "1 slice before slice 1; it has 32 x 32 pixels" in cine.notes[1].text


def test_a_stack_between_the_slices_of_another_is_another(tmp_path):
    """The patient moved, and all was taken again under another frame of reference."""
    study = classic_study(LARGE)
    other = other_stack(LARGE, slices=5, number=50, origin=tuple(np.add(LARGE.origin, 4 * LARGE.direction[:, 2])))
    for dataset in other.datasets:
        dataset.FrameOfReferenceUID = "1.2.3"
    cine = read(study.datasets + other.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == ["N_OTHER_CANDIDATE"]


@pytest.mark.parametrize("step_mm", [0.02, 0.2])
def test_positions_that_drift_within_a_slice(tmp_path, step_mm):
    def drifted(s, t):
        return decimal(LARGE.geometry.slice_positions()[s] + LARGE.direction[:, 2] * step_mm * t)

    study = change(classic_study(LARGE), range(6), ImagePositionPatient=drifted)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert note_codes(cine) == ["N_DRIFT"]
    assert f"{7 * step_mm:.2f} mm" in cine.notes[0].text


def test_thin_slices_are_no_drift(tmp_path):
    study = classic_study(Recipe(slices=6, size=(32, 40), spacing=(0.4, 0.2, 0.2)))
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert not cine.notes


def test_orientations_without_end_take_no_time(tmp_path):
    """4,000 frames each of its own orientation took 34 s."""
    study = enhanced_study(Recipe(slices=3, size=(32, 40)))
    frames = list_groups(write(study.datasets, tmp_path)).groups[0].frames
    angles = np.linspace(0, np.pi / 2, 4000)
    cosines = [(np.cos(a), np.sin(a), 0.0, -np.sin(a), np.cos(a), 0.0) for a in angles]
    turned = [replace(frames[index % len(frames)], orientation=axes) for index, axes in enumerate(cosines)]
    started = time.process_time()
    assert len(group_frames(turned)) > 40
    assert time.process_time() - started < 5
