"""Contours: that they enclose a structure's pixels and no others, in the patient's coordinates."""

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_dicom import Recipe, classic_study
from matplotlib.path import Path as Polygon
from segmented_dicom import segmented

from cardiacseg.io.dicom_results import DicomResultOptions, write_dicom_results
from cardiacseg.io.dicom_results.contours import polygons


def inside(points: np.ndarray, shape) -> np.ndarray:
    """Pixels whose centres a polygon encloses an odd number of times."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    return Polygon(points).contains_points(centres).reshape(shape)


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
    colours = [list(roi.ROIDisplayColor) for roi in result.ROIContourSequence]
    assert colours == 2 * [[220, 20, 60], [0, 180, 0], [30, 100, 255]]
    assert {roi.ROIGenerationAlgorithm for roi in result.StructureSetROISequence} == {"AUTOMATIC"}
    assert result.ApprovalStatus == "UNAPPROVED" and "Research use only" in result.StructureSetDescription
