"""When frames were acquired, how long a beat lasts, and times in other units than DICOM's."""

import numpy as np
import pytest
from dicom_reading import SMALL, read, set_all
from made_up_dicom import classic_study
from made_up_enhanced import enhanced_study

from cardiacseg.errors import DicomError


@pytest.fixture
def study():
    return classic_study(SMALL)


def test_beat_from_heart_rate(tmp_path, study):
    set_all(study, NominalInterval=None, HeartRate=lambda s, t: 60 + 2 * s)
    timing = read(study.datasets, tmp_path).timing
    assert timing.rr_interval_ms == pytest.approx(np.mean([60000 / rate for rate in (60, 62, 64, 66)]))
    assert "HeartRate" in timing.rr_source


@pytest.mark.parametrize("nominal", [None, 5])
def test_beat_from_trigger_times(tmp_path, study, nominal):
    set_all(study, NominalInterval=nominal)
    cine = read(study.datasets, tmp_path)
    assert cine.timing.rr_interval_ms == pytest.approx(study.rr_interval_ms, rel=1e-4)
    assert cine.timing.rr_source.startswith("estimated from the last trigger time")
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.02)


def test_beats_that_differ_much_are_noted(tmp_path, study):
    set_all(study, slices=(3,), NominalInterval=1400)
    cine = read(study.datasets, tmp_path)
    assert [note.code for note in cine.notes] == ["N_RR_DIFFERS"]
    assert "1400 ms" in cine.notes[0].text


def in_unit(study, per_ms, **values):
    set_all(study, TriggerTime=lambda s, t: f"{SMALL.trigger_ms(s, t) * per_ms:.10g}", **values)


@pytest.mark.parametrize(("unit", "per_ms"), [("s", 0.001), ("us", 1000)])
@pytest.mark.parametrize("beat", ["NominalInterval", "HeartRate", None])
def test_trigger_times_in_another_unit(tmp_path, study, unit, per_ms, beat):
    in_unit(study, per_ms, NominalInterval=None)
    if beat is not None:
        set_all(
            study, **{beat: lambda s, t: SMALL.rr_ms(s) if beat == "NominalInterval" else round(60000 / SMALL.rr_ms(s))}
        )
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, rtol=5e-3)
    assert cine.timing.rr_interval_ms == pytest.approx(study.rr_interval_ms, rel=5e-3)
    (note,) = cine.notes
    assert note.code == "N_TIME_UNIT"
    assert f"trigger times of 4 of 4 slices fit a beat only in {unit}" in note.text
    assert cine.dicom.frames[7][3].trigger_time_ms == pytest.approx(SMALL.trigger_ms(3, 7))


def test_enhanced_times_in_seconds(tmp_path):
    study = enhanced_study(SMALL)
    for dataset in study.datasets:
        del dataset.CardiacRRIntervalSpecified
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            heart = frame.CardiacSynchronizationSequence[0]
            heart.NominalCardiacTriggerDelayTime /= 1000
            heart.RRIntervalTimeNominal /= 1000
    cine = read(study.datasets, tmp_path)
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.01)
    assert cine.timing.rr_interval_ms == pytest.approx(study.rr_interval_ms)
    assert [note.code for note in cine.notes] == ["N_TIME_UNIT"] * 2
    assert "nominal intervals of 4 of 4 slices" in cine.notes[0].text


@pytest.mark.parametrize(("per_ms", "rate", "believed"), [(1000, None, True), (1000, 70, True), (1000, 100, False)])
def test_a_nominal_interval_in_another_unit_must_be_confirmed(tmp_path, study, per_ms, rate, believed):
    set_all(study, NominalInterval=lambda s, t: SMALL.rr_ms(s) * per_ms, HeartRate=rate)
    cine = read(study.datasets, tmp_path)
    assert [note.code for note in cine.notes][:1] == ["N_TIME_UNIT"] * believed
    source = "NominalInterval" if believed else "HeartRate"
    assert cine.timing.rr_source.startswith(source)


def test_one_is_no_beat_of_a_second(tmp_path, study):
    """A stand-in for a value that is not known: nothing confirms that it means 1 s."""
    set_all(study, NominalInterval=1, TriggerTime=None)
    cine = read(study.datasets, tmp_path)
    assert (cine.timing.rr_interval_ms, cine.timing.frame_times_ms) == (None, None)


@pytest.mark.parametrize(
    "times",
    [lambda s, t: 5 * t, lambda s, t: 4e7 + 30 * t, lambda s, t: 4000 * t, lambda s, t: 7e5 * t],
    ids=["too short", "of the day", "in ticks too long", "in ticks"],
)
@pytest.mark.parametrize("nominal", [None, 850])
def test_times_that_fit_no_beat_are_never_used(tmp_path, study, times, nominal):
    set_all(study, TriggerTime=lambda s, t: str(times(s, t)), NominalInterval=nominal)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert (cine.timing.rr_interval_ms, cine.timing.frame_times_ms) == (nominal, None)
    assert {frame.trigger_time_ms for frames in cine.dicom.frames for frame in frames} == {None}
    assert [note.code for note in cine.notes] == ["N_PHASE_ORDER", "N_TIMES_UNKNOWN"]
    assert "fit no beat in ms, s or us" in cine.notes[1].text


def test_times_of_one_slice_that_fit_no_beat(tmp_path, study):
    set_all(study, slices=(2,), TriggerTime=lambda s, t: str(4e7 + 30 * t))
    cine = read(study.datasets, tmp_path)
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.02)
    assert [note.code for note in cine.notes] == ["N_PHASE_ORDER", "N_TIMES_UNKNOWN"]
    assert "of 1 of 4 slices fit no beat in ms, s or us; the times of the other slices were used" in cine.notes[1].text


def test_an_acquisition_that_begins_late_in_the_beat(tmp_path, study):
    """Frames are ranked by their time after the R wave, from whichever of them the scanner began."""
    set_all(study, NominalInterval=800, TriggerTime=lambda s, t: str((t * 100 + 500) % 800))
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, np.roll(study.image, -3, axis=0))
    np.testing.assert_allclose(cine.timing.frame_times_ms, np.arange(8) * 100)
    assert cine.notes == ()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("times", [(1e308, -1e308), (5e-324, 0), (0, 1e308)])
def test_times_beyond_all_measure(tmp_path, study, times):
    set_all(study, TriggerTime=lambda s, t: repr(times[t % 2]), NominalInterval=None, HeartRate=None)
    set_all(study, AcquisitionNumber=lambda s, t: 1 + t // 4, InstanceNumber=lambda s, t: t + 1)
    with pytest.raises(DicomError, match="E_DUPLICATE_SLICE"):
        read(study.datasets, tmp_path)
    timing = read(study.datasets, tmp_path, latest_retake=True).timing
    assert (timing.rr_interval_ms, timing.frame_times_ms) == (None, None)
