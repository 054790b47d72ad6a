"""The structured report: values, codes, references."""

from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_reading import code_of, errors_of_dciodvfy, items, measured, of_type
from segmented_dicom import DIGEST, FLAGS, SMALL, TINY, segmented
from synthetic_dicom import Recipe, classic_study

from cardiacseg.io.cine import Note
from cardiacseg.io.dicom_results import write_dicom_results
from cardiacseg.io.dicom_results.codes import DECIMALS
from cardiacseg.measurements import MeasurementOptions, Rates, Wall
from cardiacseg.quality import find_flags


@pytest.fixture(scope="module")
def study():
    return classic_study(SMALL)


@pytest.fixture(scope="module")
def cine(study):
    return segmented(study)


@pytest.fixture(scope="module")
def written(cine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    assert write_dicom_results(folder, cine) == ["seg-ed.dcm", "seg-es.dcm", "sr.dcm"]
    return folder


def test_the_report_holds_the_measurements(cine, written):
    report = pydicom.dcmread(written / "sr.dcm")
    m = cine.measurements
    expected = {
        "8821-1": [(m.lv_edv_ml, "ml"), (m.indexed["lv_edv_ml_m2"], "ml/m2")],
        "8823-7": [(m.lv_esv_ml, "ml"), (m.indexed["lv_esv_ml_m2"], "ml/m2")],
        "8822-9": [(m.rv_edv_ml, "ml"), (m.indexed["rv_edv_ml_m2"], "ml/m2")],
        "8824-5": [(m.rv_esv_ml, "ml"), (m.indexed["rv_esv_ml_m2"], "ml/m2")],
        "8811-2": [(m.lv_ef_percent, "%")],
        "8818-7": [(m.rv_ef_percent, "%")],
        "90096001": [(m.lv_sv_ml, "ml")],
        "429483009": [(m.rv_sv_ml, "ml")],
        "82799009": [(m.lv_co_l_min, "l/min")],
        "277381004": [(m.indexed["lv_sv_ml_m2"], "ml/m2")],
        "428628004": [(m.rv_co_l_min, "l/min")],
        "54993008": [(m.indexed["lv_ci_l_min_m2"], "l/min/m2")],
        "122447": [(m.lv_mass_g, "g"), (m.indexed["lv_mass_g_m2"], "g/m2"), (m.lv_mass_es_g, "g")],
        "8867-4": [(m.heart_rate_per_min, "/min")],
        "8277-6": [(2.0, "m2")],
    }
    for concept, values in expected.items():
        found = measured(report, concept)
        assert [unit for _, unit in found] == [unit for _, unit in values], concept
        for (value, unit), (measured_value, _) in zip(found, values, strict=True):
            decimals = DECIMALS[unit]
            assert value == round(measured_value, decimals) == pytest.approx(measured_value, abs=0.51 / 10**decimals)
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    texts = " ".join(i.TextValue for i in items(report) if i.get("ValueType") == "TEXT")
    assert "Research use only" in texts and DIGEST in texts and FLAGS[0].text in texts


def test_the_report_points_to_the_segments(cine, written):
    report = highdicom.sr.srread(written / "sr.dcm")
    segs = {name: pydicom.dcmread(written / name) for name in ("seg-ed.dcm", "seg-es.dcm")}
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 6
    for group in groups:
        reference = group.referenced_segment
        seg = next(s for s in segs.values() if s.SOPInstanceUID == reference.referenced_sop_instance_uid)
        segment = seg.SegmentSequence[reference.referenced_segment_numbers[0] - 1]
        assert (group.tracking_uid, group.tracking_identifier) == (segment.TrackingUID, segment.TrackingID)
        assert group.finding_type.value == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
    evidence = {sop for _, _, sop, _ in report.get_evidence()}
    sources = {frame.sop_instance_uid for phase in cine.cine.dicom.frames for frame in phase}
    assert evidence == sources | {s.SOPInstanceUID for s in segs.values()}


def test_a_study_that_is_incomplete_is_marked(tmp_path):
    made = segmented(classic_study(TINY))
    note = Note("N_INCOMPLETE", "the sender broke off")
    marked = replace(made, cine=replace(made.cine, notes=(note,)))
    write_dicom_results(tmp_path, replace(marked, flags=find_flags(marked)))
    report = pydicom.dcmread(tmp_path / "sr.dcm")
    assert report.CompletionFlag == "PARTIAL" and not errors_of_dciodvfy(tmp_path / "sr.dcm")
    said = [item.TextValue for item in of_type(report, "TEXT", "quality-flag")]
    assert said[0] == "N_INCOMPLETE: the sender broke off" and said[1].startswith("heart_incomplete: ")
    write_dicom_results(tmp_path, made)
    assert pydicom.dcmread(tmp_path / "sr.dcm").CompletionFlag == "COMPLETE"


def test_values_have_the_decimals_that_mean_something(cine, written):
    values = [item.MeasuredValueSequence[0] for item in items(pydicom.dcmread(written / "sr.dcm")) if is_number(item)]
    assert len(values) > 30
    for value in values:
        _, _, decimals = str(value.NumericValue.original_string).partition(".")
        assert len(decimals) <= DECIMALS[code_of(value.MeasurementUnitsCodeSequence)[0]]


def is_number(item):
    return item.get("ValueType") == "NUM"


def test_slices_that_do_not_count_are_named(tmp_path):
    study = classic_study(TINY)
    included = np.ones((3, 3), bool)
    included[[0, 2], 2] = False
    write_dicom_results(tmp_path, segmented(study, included=included))
    texts = [item.TextValue for item in of_type(pydicom.dcmread(tmp_path / "sr.dcm"), "TEXT", "121106")]
    assert texts.count("Slices that do not count here: 1, 3.") == 2 == len([t for t in texts if "count here" in t])


def test_wall_thickness_stands_at_its_segment(tmp_path):
    made = segmented(classic_study(SMALL))
    wall = Wall(np.arange(1.0, 17), np.r_[np.nan, np.arange(3.0, 18)], np.r_[np.nan, np.arange(31.0, 46)])
    write_dicom_results(tmp_path, replace(made, measurements=replace(made.measurements, wall=wall)))
    report = pydicom.dcmread(tmp_path / "sr.dcm")
    thickness = measured(report, "122445")
    assert [value for value, _ in thickness] == [*wall.ed_mm, *wall.es_mm[1:]] and {u for _, u in thickness} == {"mm"}
    assert [value for value, _ in measured(report, "59092-7")] == wall.thickening_percent[1:].tolist()
    sites = [item.ContentSequence[0].ConceptCodeSequence[0] for item in of_type(report, "NUM", "122445")]
    names = [site.CodeMeaning.removeprefix("left ventricle ").removesuffix(" segment") for site in sites]
    assert (names[0], names[13], names[16]) == ("basal anterior", "apical septal", "basal anteroseptal")


def test_rates_of_the_volume_curve(tmp_path):
    made = segmented(classic_study(SMALL))
    rates = Rates(410.6, 120.0, 390.25, 500.4)
    write_dicom_results(tmp_path, replace(made, measurements=replace(made.measurements, lv_rates=rates, rv_rates=None)))
    report = pydicom.dcmread(tmp_path / "sr.dcm")
    assert measured(report, "122616") == [(411.0, "ml/s")] and measured(report, "122618") == [(390.0, "ml/s")]
    assert measured(report, "time-of-peak") == [(120.0, "ms"), (500.0, "ms")]


def test_papillary_muscles_are_said_to_be_where_they_were_measured(tmp_path):
    study = classic_study(TINY)
    found = {}
    for papillary in ("volume", "mass"):
        write_dicom_results(tmp_path, segmented(study, options=MeasurementOptions(papillary=papillary)))
        report = pydicom.dcmread(tmp_path / "sr.dcm")
        coded = of_type(report, "CODE", "122670")
        found[papillary] = [item.ConceptCodeSequence[0].CodeMeaning.split()[-1] for item in coded]
    assert found == {"volume": 2 * ["Included", "Excluded"], "mass": 2 * ["Excluded", "Included"]}


@pytest.mark.parametrize(("formula", "code"), [("mosteller", "122244"), ("du_bois", "122241")])
def test_the_formula_of_body_surface_is_coded(tmp_path, formula, code):
    study = classic_study(TINY)
    write_dicom_results(tmp_path, segmented(study, options=MeasurementOptions(bsa_formula=formula)))
    (bsa,) = of_type(pydicom.dcmread(tmp_path / "sr.dcm"), "NUM", "8277-6")
    assert code_of(bsa.ContentSequence[0].ConceptCodeSequence)[0] == code


def test_nothing_is_measured_that_does_not_exist(tmp_path):
    made = segmented(classic_study(Recipe(frames=1, slices=3, size=(32, 32))), flags=())
    assert write_dicom_results(tmp_path, made) == ["seg-phase-01.dcm", "sr.dcm"]
    report = pydicom.dcmread(tmp_path / "sr.dcm")
    for concept in ("8811-2", "8821-1", "82799009", "54993008", "8277-6"):
        assert not measured(report, concept)
    volumes = [value for value, _ in measured(report, "118565006")]
    m = made.measurements
    assert volumes == pytest.approx([m.lv_ml[0], m.myo_ml[0], m.rv_ml[0]], abs=0.051)
