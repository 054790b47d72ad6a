"""Writing made-up datasets and reading them back, and what tests of reading share."""

import re

import pytest
from made_up_dicom import SECRETS, Recipe, classic_study, write

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
