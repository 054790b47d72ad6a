"""UIDs that stay, and whose data is copied into DICOM results."""

import logging
import warnings
from dataclasses import replace
from io import BytesIO

import highdicom
import pydicom
import pytest
from dicom_reading import code_of, errors_of_dciodvfy
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from segmented_dicom import EVERYTHING, TINY, bytes_of, result_of, segmented
from synthetic_dicom import SECRETS, classic_study

from cardiacseg.errors import DicomError, InvalidInputError
from cardiacseg.io.dicom_results import DicomResultOptions, result_notes, write_dicom_results
from cardiacseg.study.segment import ResultOptions, Stopwatch, with_result_notes, write_results


def test_the_same_input_gives_the_same_bytes(tmp_path):
    study = classic_study(TINY)
    assert bytes_of(tmp_path / "a", segmented(study)) == bytes_of(tmp_path / "b", segmented(study))


def test_a_uid_stands_for_the_same_bytes_whatever_else_was_asked_for(tmp_path):
    made = segmented(classic_study(replace(TINY, frames=3)))
    few = bytes_of(tmp_path / "a", made, DicomResultOptions(rtstruct=True))
    many = bytes_of(tmp_path / "b", made, DicomResultOptions(phases="all"))
    contents: dict[str, set[bytes]] = {}
    for content in (*few.values(), *many.values()):
        contents.setdefault(pydicom.dcmread(BytesIO(content)).SOPInstanceUID, set()).add(content)
    assert len(contents) == 3 + 2 + 1 and all(len(same) == 1 for same in contents.values())


def test_other_labels_or_another_model_give_other_uids(tmp_path):
    study, options = classic_study(TINY), DicomResultOptions(rtstruct=True)
    edited = study.labels.copy()
    edited[0, 0, 0, 0] = (edited[0, 0, 0, 0] + 1) % 4
    other_model = replace(segmented(study), result=result_of(study.labels, digest="f" * 64))
    ways = [segmented(study), segmented(study, labels=edited), other_model, segmented(study, result=False)]
    uids = []
    for way in ways:
        names = write_dicom_results(tmp_path, way, options)
        uids += [pydicom.dcmread(tmp_path / name).SOPInstanceUID for name in names]
    assert len(set(uids)) == len(uids) == 4 * 4
    assert all(uid.startswith("2.25.") and len(uid) <= 64 and uid.is_valid for uid in uids)


def test_patient_and_study_are_copied_and_nothing_private(tmp_path):
    study = classic_study(TINY)
    procedure = pydicom.Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator, procedure.CodeMeaning = "241620005", "SCT", "Cardiac MRI"
    procedure.private_block(0x0009, "MADE UP", create=True).add_new(0x01, "LO", "PRIVATE-SECRET")
    for made in study.datasets:
        made.ProcedureCodeSequence = [procedure]
    for name, content in bytes_of(tmp_path, segmented(study)).items():
        result = pydicom.dcmread(tmp_path / name)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSize", "StudyInstanceUID", "StudyDate"):
            assert result[keyword].value == study.datasets[0][keyword].value, (name, keyword)
        assert code_of(result.ProcedureCodeSequence) == ("241620005", "SCT")
        if name != "sr.dcm":
            assert result.FrameOfReferenceUID == study.datasets[0].FrameOfReferenceUID
        for secret in ("PRIVATE-SECRET", "MADE UP", "Emerald City"):
            assert secret.encode() not in content, name
        assert result.SeriesInstanceUID not in {made.SeriesInstanceUID for made in study.datasets}


def test_nothing_about_the_patient_is_logged(tmp_path, caplog):
    study = classic_study(TINY)
    with caplog.at_level(logging.INFO):
        write_dicom_results(tmp_path, segmented(study), EVERYTHING)
    for secret in (*SECRETS, study.datasets[0].StudyInstanceUID, study.datasets[0].SOPInstanceUID):
        assert secret not in caplog.text


def without_dates(made):
    for keyword in [element.keyword for element in made if element.VR in ("DA", "TM", "DT")]:
        setattr(made, keyword, "")


def put(keyword, value):
    return lambda made: setattr(made, keyword, value)


def drop(*keywords):
    return lambda made: [made.pop(keyword, None) for keyword in keywords]


def foreign_name(made):
    made.SpecificCharacterSet, made.PatientName = ["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"


@pytest.mark.parametrize(
    "change",
    [
        without_dates,
        drop("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber"),
        drop("Manufacturer", "PositionReferenceIndicator", "SpecificCharacterSet"),
        put("PatientSex", "W"),
        foreign_name,
    ],
    ids=["no dates", "no patient", "no equipment", "unknown sex", "Japanese"],
)
def test_studies_that_lack_something_still_get_valid_results(tmp_path, change):
    study = classic_study(TINY)
    for made in study.datasets:
        change(made)
    for name in bytes_of(tmp_path, segmented(study), DicomResultOptions(rtstruct=True)):
        assert not errors_of_dciodvfy(tmp_path / name), name
    assert str(pydicom.dcmread(tmp_path / "sr.dcm").PatientName) == str(study.datasets[0].get("PatientName", ""))


def each(study, change):
    for made in study.datasets:
        change(made)
    return segmented(study)


def test_without_a_study_uid_nothing_is_written_and_the_reason_is_known_before(tmp_path):
    made = each(classic_study(TINY), drop("StudyInstanceUID"))
    with pytest.raises(DicomError, match="E_NO_DICOM_RESULTS: DICOM results need StudyInstanceUID"):
        write_dicom_results(tmp_path, made)
    assert not list(tmp_path.iterdir())
    (note,) = result_notes(made.cine)
    assert note.code == "N_NO_DICOM_RESULTS" and "StudyInstanceUID" in note.text


def test_sources_that_cannot_be_named_have_no_dicom_results(tmp_path):
    made = segmented(classic_study(TINY))
    nameless = replace(
        made.cine, dicom=replace(made.cine.dicom, unusable_for_results="2 images share a SOPInstanceUID")
    )
    with pytest.raises(DicomError, match="2 images share"):
        write_dicom_results(tmp_path, replace(made, cine=nameless))
    assert [(note.code, note.text) for note in result_notes(nameless)] == [
        ("N_NO_DICOM_RESULTS", "no DICOM results: 2 images share a SOPInstanceUID")
    ]


def test_a_frame_of_reference_and_a_series_are_made_of_the_sources_alone(tmp_path):
    study = classic_study(TINY)
    made = each(study, drop("FrameOfReferenceUID", "SeriesInstanceUID"))
    assert [note.code for note in result_notes(made.cine)] == ["N_RESULT_HEADER"] * 2
    found = {}
    for folder, labels in (("a", made.labels), ("b", made.labels[:, :, ::-1].copy())):
        for name in bytes_of(tmp_path / folder, replace(made, labels=labels), DicomResultOptions(rtstruct=True)):
            assert not errors_of_dciodvfy(tmp_path / folder / name), name
        seg = pydicom.dcmread(tmp_path / folder / "seg-ed.dcm")
        found[folder] = seg.FrameOfReferenceUID, [item.SeriesInstanceUID for item in seg.ReferencedSeriesSequence]
    assert found["a"] == found["b"]
    frame_of_reference, (series,) = found["a"]
    assert frame_of_reference.startswith("2.25.") and series.startswith("2.25.") and series != frame_of_reference


def test_sources_of_several_studies_are_named_as_such(tmp_path):
    study = classic_study(TINY)
    for number, one in enumerate(study.datasets):
        one.add(pydicom.DataElement("StudyInstanceUID", "UI", f"1.2.{number}"))  # elements are shared until now
    made = segmented(study)
    for name in bytes_of(tmp_path, made, DicomResultOptions(rtstruct=True)):
        assert not errors_of_dciodvfy(tmp_path / name), name
    seg, contours = (pydicom.dcmread(tmp_path / f"{name}.dcm") for name in ("seg-es", "rtstruct"))
    study_instance_uid = {one.SOPInstanceUID: one.StudyInstanceUID for one in study.datasets}
    own = [(seg.StudyInstanceUID, item) for item in seg.get("ReferencedSeriesSequence", ())]
    other = [
        (item.StudyInstanceUID, series)
        for item in seg.StudiesContainingOtherReferencedInstancesSequence
        for series in item.ReferencedSeriesSequence
    ]
    named = {i.ReferencedSOPInstanceUID: uid for uid, s in own + other for i in s.ReferencedInstanceSequence}
    assert named == {uid: study_instance_uid[uid] for uid in named} and len(named) == TINY.slices
    evidence = {
        sop: uid
        for uid, _, sop, _ in highdicom.sr.srread(tmp_path / "sr.dcm").get_evidence()
        if sop in study_instance_uid
    }
    assert evidence == study_instance_uid
    (frame_of_reference,) = contours.ReferencedFrameOfReferenceSequence
    assert {item.ReferencedSOPInstanceUID for item in frame_of_reference.RTReferencedStudySequence} == set(
        study_instance_uid.values()
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [("M" * 70, "M" * 64), (["SIEMENS", "GE"], "SIEMENS GE"), ("line\nbreak", "linebreak"), ("Philips", "Philips")],
    ids=["long", "two", "control", "usual"],
)
def test_makers_that_dicom_does_not_allow_are_shortened(tmp_path, value, written):
    study = classic_study(TINY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = each(
            study, lambda one: one.__setitem__("Manufacturer", pydicom.DataElement("Manufacturer", "LO", value))
        )
    notes = [] if value == written else ["N_RESULT_HEADER"]
    assert [note.code for note in result_notes(made.cine)] == notes
    for name in bytes_of(tmp_path, made):
        (scanner, *_) = pydicom.dcmread(tmp_path / name).ContributingEquipmentSequence
        assert scanner.Manufacturer == written


@pytest.mark.filterwarnings("ignore::UserWarning")  # what makes the values here says so; writing results does not
@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"a\\b\\c", b"\x1b$B;3", b"x" * 1000])
def test_an_attribute_that_is_damaged_costs_no_result(tmp_path, content):
    keywords = ("PatientName", "FrameOfReferenceUID", "OtherPatientIDsSequence", "PatientBodyMassIndex", "PatientAge")
    for keyword in (*keywords, "LongitudinalTemporalOffsetFromEvent", "StudyDescription", "PatientSize", "StudyTime"):
        study = classic_study(replace(TINY, frames=1))
        raw = RawDataElement(
            Tag(keyword), dictionary_VR(keyword), len(content), content, 0, is_implicit_VR=False, is_little_endian=True
        )
        made = each(study, lambda one, raw=raw: one.__setitem__(raw.tag, raw))
        assert {note.code for note in result_notes(made.cine)} <= {"N_RESULT_HEADER"}
        assert write_dicom_results(tmp_path, made) == ["seg-phase-01.dcm", "sr.dcm"]
        assert pydicom.dcmread(tmp_path / "sr.dcm").to_json()  # each value can be read


def test_what_the_libraries_raise_is_typed_and_quotes_nothing(tmp_path):
    study = classic_study(TINY)
    made = segmented(study)
    frames = made.cine.dicom.frames
    far = replace(frames[0][0], position=(SECRETS[0],) * 3)
    made = replace(
        made, cine=replace(made.cine, dicom=replace(made.cine.dicom, frames=((far, *frames[0][1:]), *frames[1:])))
    )
    with pytest.raises(DicomError, match="E_NO_DICOM_RESULTS") as caught:
        write_dicom_results(tmp_path, made)
    assert SECRETS[0] not in str(caught.value) and not list(tmp_path.iterdir())
    assert [note.code for note in result_notes(made.cine)] == ["N_NO_DICOM_RESULTS"]


@pytest.mark.parametrize("missing", [True, False])
def test_all_other_results_are_there_with_a_note(tmp_path, missing):
    study = classic_study(TINY)
    made = each(study, drop("StudyInstanceUID")) if missing else segmented(study)
    options = ResultOptions(report=False, dicom=missing)
    for known in (made.cine, with_result_notes(made.cine, options)):  # found out while writing, and before
        noted, names = write_results(tmp_path, replace(made, cine=known), options, Stopwatch())
        assert names == ["labels.nii.gz", "measurements.json", "quality.json", "slices.csv", "preview.png"]
        assert [note.code for note in noted.cine.notes] == missing * ["N_NO_DICOM_RESULTS"]
        assert ("N_NO_DICOM_RESULTS" in (tmp_path / "quality.json").read_text()) == missing


def test_label_maps_without_dicom_are_a_contradiction():
    with pytest.raises(InvalidInputError, match="switched off"):
        ResultOptions(dicom=False, labelmap=True)
