"""Writing synthetic datasets and reading them back, what a structured report holds, and other people's tools."""

import re
import shutil
import subprocess

import pytest
from synthetic_dicom import SECRETS, Recipe, classic_study, write

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom.read import read_dicom

SMALL = Recipe(slices=4, size=(32, 40))


def read(datasets, folder, **options):
    """The cine of datasets that were written to ``folder`` in a shuffled order."""
    write(datasets, folder, shuffle=11)
    return read_dicom(folder, **options)


def refused(code, source, *words, **options):
    """Reading ``source`` fails with ``code`` and one sentence that holds the words and nothing of the patient."""
    with pytest.raises(DicomError) as caught:
        read_dicom(source, **options)
    said = str(caught.value)
    assert caught.value.code == code, said
    assert said.startswith(f"{code}: ")
    assert "\n" not in said
    assert not any(secret in said for secret in SECRETS)
    for word in words:
        assert re.search(word, said), f"{word!r} is not in {said!r}"
    return said


def other_stack(base, seed=1, number=500, **changes):
    """Another classic stack of the examination of recipe ``base``; its series are numbered from ``number`` on."""
    study = classic_study(Recipe(**{"slices": base.slices, "size": base.size, "seed": seed, **changes}))
    for dataset in study.datasets:
        dataset.StudyInstanceUID = base.uid("study")
        dataset.FrameOfReferenceUID = base.uid("frame of reference")
        dataset.SeriesNumber = number + dataset.AcquisitionNumber
    return study


def set_all(study, slices=range(4), **values):
    """Set attributes in every phase of some slices; a value may be a function of slice and phase."""
    for s in slices:
        for t in range(study.recipe.frames):
            for name, value in values.items():
                study.at(s, t).pop(name, None)  # instances may share it
                setattr(study.at(s, t), name, value(s, t) if callable(value) else value)


def code_of(sequence):
    return sequence[0].CodeValue, sequence[0].CodingSchemeDesignator


def items(item):
    """The content item and all below it."""
    yield item
    for inner in item.get("ContentSequence", ()):
        yield from items(inner)


def of_type(report, value_type, concept):
    """Content items with this type and code, in the report's order."""
    found = [item for item in items(report) if item.get("ValueType") == value_type]
    return [item for item in found if code_of(item.ConceptNameCodeSequence)[0] == concept]


def measured(report, concept):
    """Value and unit of every number with this code."""
    values = [item.MeasuredValueSequence[0] for item in of_type(report, "NUM", concept)]
    return [(float(value.NumericValue), code_of(value.MeasurementUnitsCodeSequence)[0]) for value in values]


def tool(name, *words):
    """Exit status and all output of a program of the system, which may be missing."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    run = subprocess.run([name, *map(str, words)], capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


def errors_of_dciodvfy(path):
    """The lines of dicom3tools' verdict that begin with Error."""
    _, said = tool("dciodvfy", path)
    assert said.strip()
    return [line for line in said.splitlines() if line.startswith("Error")]
