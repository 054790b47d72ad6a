"""Positions of SEGs and contours in the patient by other readers, in all 48 orientations and oblique ones."""

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_reading import tool
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon
from segmented_dicom import segmented, source_of
from synthetic_dicom import OBLIQUE, Recipe, classic_study, orthonormal

from cardiacseg.io.cine import Cine, DicomSource, SegmentedCine
from cardiacseg.io.contours import polygons
from cardiacseg.io.dicom_results import DicomResultOptions, Phase, write_dicom_results
from cardiacseg.io.dicom_results.codes import STRUCTURES
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.io.dicom_results.segmentation import make_segmentation, segment_numbers
from cardiacseg.io.dicom_results.write import encoded
from cardiacseg.io.geometry import Geometry

PHASE = Phase(0, "phase-01", ())
AXES = [np.eye(3)[:, list(order)] for order in itertools.permutations(range(3))]
SIGNS = [np.diag(signs) for signs in itertools.product((1.0, -1.0), repeat=3)]
ALL_48 = [axes @ signs for axes, signs in itertools.product(AXES, SIGNS)]
STUDY = classic_study(Recipe(frames=1, slices=3, size=(32, 32)))


def placed(direction: np.ndarray, labels: np.ndarray, drift: float = 0.0) -> SegmentedCine:
    """The study's patient with other labels ``[1, S, H, W]`` on another grid; slices drift in plane by ``drift`` mm."""
    size = labels.shape[:0:-1]
    geometry = Geometry((-31.25, 17.5, 208.125), direction, (1.40625, 1.7, 9.3), size)
    positions = geometry.slice_positions() + drift * np.arange(size[2])[:, None] % 0.2 * direction[:, 0]
    sources = source_of(STUDY)
    frame = sources.frames[0][0]
    frames = [
        type(frame)("1.2", frame.sop_instance_uid, "1.3", None, tuple(place), 0.0) for place in positions.tolist()
    ]
    source = DicomSource((tuple(frames),), sources.instances, tuple(direction[:, :2].T.ravel().tolist()), 6.0, {})
    image = np.zeros(labels.shape, np.uint8)
    cine = Cine(Path("study"), image, geometry.array_spacing, geometry, dicom=source)
    return SegmentedCine(cine, labels, None, segmented(STUDY).measurements)


def random_labels(seed: int = 0, shape=(1, 4, 7, 10)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, shape, dtype=np.uint8)


def same_places(made: SegmentedCine, affine: np.ndarray, numbers: np.ndarray, tolerance: float = 1e-3):
    """``numbers`` (segments, on the axes that ``affine`` maps to mm LPS) has every voxel at its position in the cine.

    Centres of voxels and the structures' centroids agree to ``tolerance`` mm.
    """
    truth = made.cine.geometry.affine_lps()
    places = np.argwhere(np.ones(numbers.shape, bool)) @ affine[:3, :3].T + affine[:3, 3]
    index = np.rint((places - truth[:3, 3]) @ np.linalg.inv(truth[:3, :3]).T).astype(int)
    np.testing.assert_allclose(index @ truth[:3, :3].T + truth[:3, 3], places, atol=tolerance)
    labels = made.labels[0].transpose(2, 1, 0)
    assert numbers.size == labels.size == len(np.unique(index, axis=0))
    np.testing.assert_array_equal(numbers.ravel(), segment_numbers(labels)[tuple(index.T)])
    for structure in STRUCTURES:
        centroid = np.argwhere(labels == structure.label).mean(axis=0) @ truth[:3, :3].T + truth[:3, 3]
        np.testing.assert_allclose(places[numbers.ravel() == structure.number].mean(axis=0), centroid, atol=tolerance)


def check_by_highdicom(direction: np.ndarray, seed: int = 0):
    made = placed(direction, random_labels(seed))
    volume = make_segmentation(Common(made), PHASE, "BINARY", 9000).get_volume(combine_segments=True)
    same_places(made, volume.affine, volume.array)


@pytest.mark.parametrize("direction", ALL_48)
def test_every_orientation(direction):
    check_by_highdicom(direction)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_oblique_orientations(seed):
    check_by_highdicom(orthonormal(np.random.default_rng(seed).normal(size=(3, 3))), seed)


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("turn", [np.eye(3), np.diag([1.0, 1, -1]), np.eye(3)[:, [1, 0, 2]]], ids=["", "-z", "yx"])
def test_dcmqi_reads_every_voxel_where_it_was(tmp_path, kind, turn):
    made = placed(orthonormal(OBLIQUE) @ turn, random_labels())
    (tmp_path / "seg.dcm").write_bytes(encoded(make_segmentation(Common(made), PHASE, kind, 9000)))
    words = ("--inputDICOM", tmp_path / "seg.dcm", "--outputDirectory", tmp_path, "-t", "nii", "--mergeSegments")
    code, said = tool("segimage2itkimage", *words)
    assert code == 0, said
    image = nibabel.load(tmp_path / "1.nii.gz")
    same_places(made, np.diag([-1, -1, 1, 1]) @ image.affine, np.asarray(image.dataobj))


def test_positions_are_those_of_the_sources_even_where_they_drift():
    made = placed(orthonormal(OBLIQUE), random_labels(), drift=0.13)
    segmentation = make_segmentation(Common(made), PHASE, "BINARY", 9000)
    positions = {frame.position for frame in made.cine.dicom.frames[0]}
    found = {
        tuple(map(float, group.PlanePositionSequence[0].ImagePositionPatient))
        for group in segmentation.PerFrameFunctionalGroupsSequence
    }
    assert len(found) == len(positions) == 4
    np.testing.assert_allclose(sorted(found), sorted(positions), atol=1e-9)


def test_measures_of_pixels():
    made = placed(orthonormal(OBLIQUE), random_labels())
    segmentation = make_segmentation(Common(made), PHASE, "BINARY", 9000)
    measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(x) for x in measures.PixelSpacing] == [1.7, 1.40625]
    assert (float(measures.SliceThickness), float(measures.SpacingBetweenSlices)) == (6.0, 9.3)
    assert segmentation.Rows == 7 and segmentation.Columns == 10 and segmentation.NumberOfFrames == 12


def test_numbers_of_segments_are_not_the_labels():
    assert segment_numbers(np.arange(4, dtype=np.uint8)).tolist() == [0, 3, 2, 1]
    made = placed(np.eye(3), random_labels())
    segmentation = make_segmentation(Common(made), PHASE, "BINARY", 9000)
    titles = {item.SegmentNumber: item.SegmentLabel for item in segmentation.SegmentSequence}
    assert titles == {1: "LV blood pool", 2: "LV myocardium", 3: "RV blood pool"}
    sums = dict.fromkeys(titles, 0)
    for frame, group in zip(segmentation.pixel_array, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        sums[group.SegmentIdentificationSequence[0].ReferencedSegmentNumber] += int(frame.sum())
    assert sums == {number: int((made.labels == label).sum()) for number, label in ((1, 3), (2, 2), (3, 1))}


def inside(points: np.ndarray, shape) -> np.ndarray:
    """Pixels whose centers a polygon encloses an odd number of times."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    centers = np.stack([columns.ravel(), rows.ravel()], axis=1)
    return Polygon(points).contains_points(centers).reshape(shape)


def filled(mask: np.ndarray) -> np.ndarray:
    found = np.zeros(mask.shape, int)
    for points in polygons(mask):
        found += inside(points, mask.shape)
    return found


def area(points: np.ndarray) -> float:
    x, y = points.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def test_a_square():
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:4] = True
    (points,) = polygons(mask)
    assert {tuple(p) for p in points.tolist()} >= {(1.5, 1.0), (1.5, 2.0), (2.0, 0.5), (3.5, 1.0), (3.0, 2.5)}
    assert area(points) == 3.5


def test_a_ring_is_one_polygon_with_a_channel_of_no_width():
    mask = np.ones((9, 11), bool)
    mask[3:6, 4:8] = False
    (points,) = polygons(mask)
    np.testing.assert_array_equal(inside(points, mask.shape), mask)
    assert area(points) == pytest.approx(mask.sum() - 0.5 + 0.5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 0.95))
def test_exactly_the_pixels_of_any_mask_are_inside(seed, share):
    mask = np.random.default_rng(seed).random((9, 10)) < share
    np.testing.assert_array_equal(filled(mask), mask)


def test_nothing_has_no_polygon():
    assert list(polygons(np.zeros((4, 4), bool))) == []


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    study = classic_study(Recipe(frames=2, slices=4, size=(48, 40)))
    folder = tmp_path_factory.mktemp("rtstruct")
    made = segmented(study)
    write_dicom_results(folder, made, DicomResultOptions(rtstruct=True))
    return study, made, pydicom.dcmread(folder / "rtstruct.dcm")


def test_contours_enclose_the_labels_in_the_patient(written):
    study, made, result = written
    phases = (made.measurements.ed_frame, made.measurements.es_frame)
    to_index = np.linalg.inv(made.cine.geometry.affine_lps())
    found = np.zeros((2, 4, *made.labels.shape[1:]), int)  # phase, label
    for roi in result.ROIContourSequence:
        phase, label = divmod(roi.ReferencedROINumber - 1, 3)
        for contour in roi.ContourSequence:
            places = np.array(contour.ContourData, dtype=float).reshape(contour.NumberOfContourPoints, 3)
            index = places @ to_index[:3, :3].T + to_index[:3, 3]
            (slice_,) = set(np.rint(index[:, 2]).astype(int))
            assert np.abs(index[:, 2] - slice_).max() < 1e-3
            source = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
            assert source == study.at(slice_, sorted(phases)[phase]).SOPInstanceUID
            found[phase, (3, 2, 1)[label], slice_] += inside(index[:, :2], made.labels.shape[2:])
    for phase, frame in enumerate(sorted(phases)):
        for label in (1, 2, 3):
            np.testing.assert_array_equal(found[phase, label], made.labels[frame] == label)


def test_each_structure_of_each_phase_is_a_region_with_its_colour(written):
    _, made, result = written
    names = [roi.ROIName for roi in result.StructureSetROISequence]
    roles = ("ED", "ES") if made.measurements.ed_frame < made.measurements.es_frame else ("ES", "ED")
    assert names == [
        f"{title} phase {t + 1} {role}"
        for t, role in enumerate(roles)
        for title in ("LV blood pool", "LV myocardium", "RV blood pool")
    ]
    colors = [list(roi.ROIDisplayColor) for roi in result.ROIContourSequence]
    assert colors == 2 * [[220, 20, 60], [0, 180, 0], [30, 100, 255]]
    assert {roi.ROIGenerationAlgorithm for roi in result.StructureSetROISequence} == {"AUTOMATIC"}
    assert result.ApprovalStatus == "UNAPPROVED" and "Research use only" in result.StructureSetDescription
