"""Which images are taken as the short-axis cine, what keeps slices out of their stack, and what is said of others."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from dicom_reading import other_stack, read, refused
from synthetic_dicom import Recipe, classic_study, decimal, decoys, write
from synthetic_enhanced import enhanced_study, item

from cardiacseg.io.budget import Budget, Limits
from cardiacseg.io.dicom import errors
from cardiacseg.io.dicom.errors import ERRORS, NOTES
from cardiacseg.io.dicom.read import list_groups, read_dicom
from cardiacseg.io.geometry import plane_in_words

SMALL = Recipe(slices=4, size=(32, 40))
LONG_AXIS = SMALL.direction @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def codes(folder, **options):
    found = list_groups(folder, **options)
    return {group.series_numbers[0]: group.code for group in found.groups}


def test_listing_says_why(tmp_path):
    study = classic_study(SMALL)
    extra = decoys(SMALL)
    derived = classic_study(SMALL).datasets[:8]
    for index, dataset in enumerate(derived):
        dataset.ImageType, dataset.SeriesNumber = ["DERIVED", "SECONDARY", "M"], 30001
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = SMALL.uid("derived", index)
    write(study.datasets + extra + derived, tmp_path, shuffle=3)
    found = list_groups(tmp_path)
    assert codes(tmp_path) == {
        1: "R_LOCALIZER",
        7001: "TAKEN",
        14001: "R_FEW_SLICES",
        16001: "R_FEW_SLICES",
        20001: "R_PHASE",
        30001: "R_DERIVED",
    }
    taken = next(group for group in found.groups if group.taken).to_dict()
    assert taken["series_numbers"] == [7001, 8001, 9001, 10001]
    assert (taken["slices"], taken["phases"], taken["rows"], taken["columns"]) == (4, [8, 8], 32, 40)
    assert np.diff(taken["slice_positions_mm"]) == pytest.approx(11.5, abs=0.011)
    assert taken["plane"] == "oblique, like a short axis"
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["ORIGINAL", "PRIMARY", "VELOCITY MAP", "P", "PCA"], "R_PHASE"),
        (["ORIGINAL", "PRIMARY", "R"], "R_COMPLEX_PART"),
        (["ORIGINAL", "PRIMARY", "LOCALIZER"], "R_LOCALIZER"),
    ],
)
def test_image_types_that_are_not_taken(tmp_path, words, code):
    datasets = classic_study(SMALL).datasets
    for dataset in datasets:
        dataset.ImageType = words
    write(datasets, tmp_path)
    reason = list_groups(tmp_path).groups[0].reason
    refused("E_NO_SAX", tmp_path, f"g1: {reason}; `cardiacseg segment INPUT --list` shows every group")
    assert codes(tmp_path) == {7001: code}
    assert read_dicom(tmp_path, series="g1").image.shape == (8, 4, 32, 40), "a caller may know better"


@pytest.mark.parametrize("words", [None, ["ORIGINAL", "PRIMARY", "OTHER"], ["ORIGINAL", "PRIMARY", "M_FFE", "M"]])
def test_image_types_that_are_taken(tmp_path, words):
    datasets = classic_study(SMALL).datasets
    for dataset in datasets:
        dataset.ImageType = words
    assert read(datasets, tmp_path).image.shape[0] == 8


def test_enhanced_frames_of_phases_beside_magnitudes(tmp_path):
    study = enhanced_study(Recipe(slices=3, size=(32, 40), series_per_slice=False))
    (dataset,) = study.datasets
    groups = dataset.PerFrameFunctionalGroupsSequence
    kind = dataset.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence
    pixels = dataset.pixel_array
    for group in [*groups]:
        group.MRImageFrameTypeSequence = kind
        doubled = type(group).from_json(group.to_json())
        doubled.MRImageFrameTypeSequence[0].ComplexImageComponent = "PHASE"
        groups.append(doubled)
    dataset.NumberOfFrames, dataset.PixelData = 2 * len(pixels), np.concatenate([pixels, pixels // 2]).tobytes()
    np.testing.assert_array_equal(read([dataset], tmp_path).image, study.image)
    assert [group.kind for group in list_groups(tmp_path).groups] == ["magnitude", "phase"]


def test_late_enhancement_in_the_same_planes_is_another_group(tmp_path):
    study = classic_study(SMALL)
    still = other_stack(SMALL, frames=1, seed=5)
    for dataset in still.datasets:
        dataset.ScanningSequence, dataset.EchoTime = ["GR", "IR"], "3.2"
    np.testing.assert_array_equal(read(study.datasets + still.datasets, tmp_path).image, study.image)
    assert codes(tmp_path) == {501: "R_FEW_PHASES", 7001: "TAKEN"}


def test_late_enhancement_between_the_slices_is_another_group(tmp_path):
    study = classic_study(SMALL)
    still = other_stack(SMALL, frames=1, seed=5, origin=tuple(np.add(SMALL.origin, 4 * SMALL.direction[:, 2])))
    for dataset in still.datasets:
        dataset.ScanningSequence = ["GR", "IR"]
    np.testing.assert_array_equal(read(study.datasets + still.datasets, tmp_path).image, study.image)


def test_an_echo_time_that_differs_between_slices_parts_nothing(tmp_path):
    study = classic_study(SMALL)
    for t in range(8):
        study.at(2, t).EchoTime = "1.62"
    np.testing.assert_array_equal(read(study.datasets, tmp_path).image, study.image)


def test_one_series_for_each_phase(tmp_path):
    study = classic_study(SMALL)
    for s in range(4):
        for t in range(8):
            study.at(s, t).SeriesInstanceUID, study.at(s, t).SeriesNumber = SMALL.uid("phase", t), 100 + t
            study.at(s, t).InstanceNumber = s + 1
    np.testing.assert_array_equal(read(study.datasets, tmp_path).image, study.image)


def test_rounded_orientations_are_one_group(tmp_path):
    study = classic_study(SMALL)
    for t in range(8):
        for s in range(4):
            values = [float(v) + (s - 1.5) * 2e-4 for v in study.at(s, t).ImageOrientationPatient]
            study.at(s, t).ImageOrientationPatient = decimal(values)
    assert read(study.datasets, tmp_path).image.shape[1] == 4


def test_two_studies(tmp_path):
    other = classic_study(Recipe(slices=3, size=(32, 40), seed=2, direction=LONG_AXIS))
    write(classic_study(SMALL).datasets + other.datasets, tmp_path)
    refused("E_MIXED_STUDY", tmp_path, "g1 and g2 are of different studies")
    assert read_dicom(tmp_path, series="g1").image.shape[1] == 4


@pytest.mark.parametrize(("name", "value"), [("PatientID", "another"), ("StudyDate", "20200103")])
def test_two_studies_of_several_patients_or_days(tmp_path, name, value):
    study = classic_study(SMALL)
    for dataset in study.datasets[24:]:
        for changed in ("StudyInstanceUID", name):
            del dataset[changed]  # the elements of a study are shared by its images
        dataset.StudyInstanceUID = "1.2.3"
        setattr(dataset, name, value)
    write(study.datasets, tmp_path)
    refused("E_MIXED_STUDY", tmp_path, "2 studies of several patients or days")


def test_more_slices_win_and_it_is_said(tmp_path):
    study = classic_study(SMALL)
    short = other_stack(SMALL, slices=3, number=20)
    for dataset in short.datasets:
        dataset.FrameOfReferenceUID = "1.2.3"
    cine = read(study.datasets + short.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert [note.code for note in cine.notes] == ["N_OTHER_CANDIDATE"]
    assert codes(tmp_path) == {21: "R_FEWER_SLICES", 7001: "TAKEN"}


def test_a_short_axis_wins_over_a_larger_stack_of_long_axes(tmp_path):
    study = classic_study(SMALL)
    long_axis = other_stack(SMALL, slices=6, number=20, direction=LONG_AXIS)
    np.testing.assert_array_equal(read(study.datasets + long_axis.datasets, tmp_path).image, study.image)
    assert codes(tmp_path)[21] == "R_ORIENTATION"


def test_the_only_stack_is_taken_though_it_lies_unusually(tmp_path):
    cine = read(classic_study(Recipe(slices=3, size=(32, 40), direction=np.eye(3))).datasets, tmp_path)
    assert [note.code for note in cine.notes] == ["N_UNUSUAL_ORIENTATION"]
    assert cine.notes[0].text.endswith("axial; it was chosen because no other group is a stack")


def test_the_larger_of_two_stacks_that_lie_unusually(tmp_path):
    """A note that is false is worse than none: the other group is a stack too."""
    study = classic_study(Recipe(slices=4, size=(32, 40), direction=np.eye(3)))
    other = other_stack(study.recipe, slices=3, direction=np.eye(3)[:, [1, 2, 0]])
    cine = read(study.datasets + other.datasets, tmp_path)
    assert [note.code for note in cine.notes] == ["N_OTHER_CANDIDATE", "N_UNUSUAL_ORIENTATION"]
    assert cine.notes[1].text.endswith("no stack lies like a short axis, and it has the most slices")


def test_two_that_are_equal(tmp_path):
    study, other = classic_study(SMALL), other_stack(SMALL, number=20)
    for dataset in other.datasets:
        dataset.FrameOfReferenceUID = "1.2.3"
    write(study.datasets + other.datasets, tmp_path)
    refused("E_AMBIGUOUS_SAX", tmp_path, "got groups g1 and g2 of 4 slices each")
    assert list_groups(tmp_path).problem.startswith("E_AMBIGUOUS_SAX")
    assert codes(tmp_path) == {21: "R_UNDECIDED", 7001: "R_UNDECIDED"}
    np.testing.assert_array_equal(read_dicom(tmp_path, series="g1").image, other.image)
    np.testing.assert_array_equal(read_dicom(tmp_path, series="2").image, study.image)
    assert codes(tmp_path, series="g1") == {21: "TAKEN", 7001: "R_NOT_CHOSEN"}


def test_choice_by_series(tmp_path):
    study = classic_study(SMALL)
    write(study.datasets + decoys(SMALL)[:17], tmp_path)
    one = read_dicom(tmp_path, series="14001")
    assert one.image.shape == (8, 1, 32, 40)
    assert [note.code for note in one.notes] == ["N_ONE_SLICE"]
    assert one.spacing[0] == 6
    two = read_dicom(tmp_path, series="8001, 7001")
    np.testing.assert_array_equal(two.image, study.image[:, :2])
    by_uid = read_dicom(tmp_path, series=study.at(3, 0).SeriesInstanceUID)
    np.testing.assert_array_equal(by_uid.image, study.image[:, 3:])
    still = read_dicom(tmp_path, series="1")
    assert still.image.shape == (1, 1, 32, 40), "a series' number comes before a group's"
    refused("E_NO_SERIES", tmp_path, "1 of 2 names", series="7001,4711")
    refused("E_NO_SERIES", tmp_path, series="g9")
    refused("E_NO_SERIES", tmp_path, series=" , ")
    refused("E_AMBIGUOUS_SAX", tmp_path, "2 groups", series="14001,16001")


def test_no_stack(tmp_path):
    study = classic_study(SMALL)
    write(study.datasets[:16], tmp_path / "two slices")
    refused(
        "E_NO_SAX", tmp_path / "two slices", "3 parallel slices", "8 phases", "g1: it has 2 of the 3 parallel", "--list"
    )
    assert read_dicom(tmp_path / "two slices", series="g1").image.shape[:2] == (8, 2)
    short = classic_study(Recipe(frames=7, slices=4, size=(32, 40)))
    write(short.datasets, tmp_path / "seven phases")
    refused("E_NO_SAX", tmp_path / "seven phases")
    assert read_dicom(tmp_path / "seven phases", series="7001,8001,9001").image.shape[:2] == (7, 3)


def test_every_code_has_a_meaning_and_is_in_the_documents():
    assert {name for name in vars(errors) if name.startswith("E_")} == set(ERRORS)
    assert {name for name in vars(errors) if name.startswith("N_")} == set(NOTES)
    assert all(getattr(errors, name) == name for name in {**ERRORS, **NOTES})
    said = (Path(__file__).parents[2] / "docs/dicom.md").read_text()
    for code, words in ERRORS.items():
        assert f"| `{code}` | {words.meaning} | {words.remedy} |\n" in said
    for code, meaning in NOTES.items():
        assert f"| `{code}` | {meaning} |\n" in said
    source = "".join(path.read_text() for path in Path(errors.__file__).parent.glob("*.py"))
    reasons = set(re.findall(r'"(R_[A-Z_]+)"', source))
    assert len(reasons) > 10 and set(re.findall(r"^\| `(R_[A-Z_]+)` \|", said, re.MULTILINE)) == reasons


def tilted(study, s, degrees):
    """Turn slice ``s`` about its rows' direction."""
    angle = np.radians(degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    for t in range(8):
        direction = study.recipe.direction @ turn
        study.at(s, t).ImageOrientationPatient = decimal(direction[:, :2].T.ravel())


@pytest.mark.parametrize("s", [1, 3])
def test_a_tilted_slice(tmp_path, s):
    study = classic_study(SMALL)
    tilted(study, s, 3)
    write(study.datasets, tmp_path)
    refused("E_NONPARALLEL", tmp_path, f"slice {s + 1} of the stack", "3.0 degrees")


def test_all_slices_tilted(tmp_path):
    study = classic_study(SMALL)
    for s in range(4):
        tilted(study, s, 2 * s)
    write(study.datasets, tmp_path)
    refused("E_NONPARALLEL", tmp_path)


def test_a_tilted_scout_in_a_plane_that_is_there_already(tmp_path):
    study = classic_study(SMALL)
    scout = other_stack(SMALL)
    tilted(scout, 2, 5)
    cine = read(study.datasets + scout.datasets[16:24], tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)


@pytest.mark.parametrize(("s", "words"), [(0, ("slice 1",)), (2, ("slice 3", "24 x 40 pixels", "32 x 40"))])
def test_a_slice_with_another_matrix(tmp_path, s, words):
    study = classic_study(SMALL)
    for t in range(8):
        dataset = study.at(s, t)
        dataset.PixelData, dataset.Rows = dataset.pixel_array[:24].tobytes(), 24
    write(study.datasets, tmp_path)
    refused("E_MATRIX_MISMATCH", tmp_path, *words)


def test_a_slice_with_another_pixel_spacing(tmp_path):
    study = classic_study(SMALL)
    for t in range(8):
        study.at(3, t).PixelSpacing = ["2.75", "2.4"]
    write(study.datasets, tmp_path)
    refused("E_MATRIX_MISMATCH", tmp_path, "slice 4", "2.75 x 2.4 mm")


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("ImagePositionPatient", slice(0, 1)),
        ("ImageOrientationPatient", slice(24, 32)),
        ("PixelSpacing", slice(None)),
    ],
)
def test_no_geometry(tmp_path, name, which):
    datasets = classic_study(SMALL).datasets
    for dataset in datasets[which]:
        del dataset[name]
    write(datasets, tmp_path)
    refused("E_NO_GEOMETRY", tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PixelSpacing", ["0", "1"]),
        ("PixelSpacing", "1"),
        ("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"]),
        ("ImageOrientationPatient", ["1e300"] * 6),
        ("ImagePositionPatient", ["1", "2"]),
    ],
)
def test_absurd_geometry(tmp_path, name, value):
    datasets = classic_study(SMALL).datasets
    for dataset in datasets:
        setattr(dataset, name, value)
    write(datasets, tmp_path)
    refused("E_NO_GEOMETRY", tmp_path)


@pytest.mark.parametrize(
    ("cosines", "words"),
    [
        ((1, 0, 0, 0, 1, 0), "axial"),
        ((1, 0, 0, 0, 0, -1), "coronal"),
        ((0, 1, 0, 0, 0, -1), "sagittal"),
        ((0.792067, 0, 0.610434, 0.377686, 0.785613, -0.490067), "oblique, like a short axis"),
        ((0.9954, 0, 0.0958, 0.0788, -0.5693, -0.8183), "oblique, unlike a short axis"),
    ],
)
def test_planes_in_words(cosines, words):
    assert plane_in_words(cosines) == words


def test_groups_are_limited(tmp_path):
    """Each pair of planes is compared no more than once, and a file whose every frame has its own is refused."""
    (dataset,) = enhanced_study(Recipe(slices=3, size=(32, 40), series_per_slice=False)).datasets
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        angle = 0.03 * number
        cosines = [np.cos(angle), np.sin(angle), 0, 0, 0, 1]
        frame.PlaneOrientationSequence = item(ImageOrientationPatient=decimal(cosines))
    write([dataset], tmp_path)
    assert len(list_groups(tmp_path).groups) == 24
    few = Budget(Limits(groups=23), dicom=True)
    refused("E_TOO_LARGE", tmp_path, "at most 23 groups of images, got 24 at IM0000", budget=few)
