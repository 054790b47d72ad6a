"""The conformance statement's tables hold what the code reads, accepts and makes."""

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_reading import code_of, items, read
from pydicom.uid import UID
from synthetic_dicom import Recipe, classic_study

from cardiacseg.io.dicom import frames
from cardiacseg.io.dicom_results import DicomResultOptions, write_dicom_results
from cardiacseg.network import listener
from cardiacseg.study.segment import StudyOptions, measured

PAGE = (Path(__file__).parents[2] / "docs/conformance.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?P<name>[^|]+?) \| (?P<uid>1\.2\.840\.10008\.[0-9.]+) \|(?P<rest>.*)$", re.MULTILINE)


def rows(heading):
    """Rows with a UID below a heading or a sentence, up to the next heading."""
    section = PAGE.partition(heading)[2].partition("\n#")[0]
    found = [match.groupdict() for match in ROW.finditer(section)]
    assert found, heading
    return found


def uids(heading):
    return [row["uid"] for row in rows(heading)]


def test_objects_that_are_read():
    assert set(uids("### Objects that are read")) == frames._MR


def test_names_are_those_of_the_standard():
    for row in [*rows("### Objects that are read"), *rows("### Objects that are made")]:
        known = UID(row["uid"]).name  # pydicom 3.0 does not know the class of label maps
        assert row["name"] == (known if known != row["uid"] else "Label Map Segmentation Storage")


def test_transfer_syntaxes_that_are_accepted():
    assert uids("Transfer syntaxes that *receive* accepts") == listener._SYNTAXES


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Every kind of result of a small study."""
    folder = tmp_path_factory.mktemp("results")
    cine = read(classic_study(Recipe(slices=3, size=(32, 36))).datasets, folder / "study")
    labels = np.zeros(cine.image.shape, np.uint8)
    for label, rows_of in enumerate((slice(4, 8), slice(8, 12), slice(12, 16)), start=1):
        labels[:, :, rows_of, 6:16] = label
    segmented = measured(cine, labels, StudyOptions(), "Short-axis cine")
    names = write_dicom_results(folder, segmented, DicomResultOptions(labelmap=True, rtstruct=True))
    return [pydicom.dcmread(folder / name) for name in names]


def test_objects_that_are_made(results):
    stated = {row["uid"]: row["rest"].split("|")[0].strip() for row in rows("### Objects that are made")}
    made = {dataset.SOPClassUID: UID(dataset.file_meta.TransferSyntaxUID).name for dataset in results}
    assert stated == made
    assert not [element for dataset in results for element in dataset.iterall() if element.tag.is_private]
    assert {dataset.SpecificCharacterSet for dataset in results} == {"ISO_IR 192"}


def test_what_the_page_says_of_every_result(results):
    for dataset in results:
        algorithm = dataset.ContributingEquipmentSequence[1]
        assert code_of(algorithm.PurposeOfReferenceCodeSequence) == ("109102", "DCM")
        assert algorithm.Manufacturer and algorithm.ManufacturerModelName and algorithm.SoftwareVersions
        assert UID(algorithm.DeviceUID).is_valid
    (report,) = [dataset for dataset in results if dataset.Modality == "SR"]
    content = list(items(report))
    templates = [item.ContentTemplateSequence[0] for item in content if "ContentTemplateSequence" in item]
    assert {template.TemplateIdentifier for template in templates} >= {"1500", "1411", "1501"}
    assert algorithm.DeviceUID in [item.UID for item in content if item.ValueType == "UIDREF"]
    assert report.VerificationFlag == "UNVERIFIED" and report.PreliminaryFlag == "PRELIMINARY"
