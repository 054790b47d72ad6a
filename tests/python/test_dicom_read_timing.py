"""The order of frames with everything that headers lack, slices with fewer frames than others, and frame times."""

import numpy as np
import pytest
from dicom_reading import SMALL, read, refused, set_all
from synthetic_dicom import Recipe, classic_study, write
from synthetic_enhanced import enhanced_study

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom.read import read_dicom


@pytest.fixture
def study():
    return classic_study(SMALL)


def orders(cine):
    return cine.dicom.arrangement["phase_order"]


def shuffled(_s, t):
    """An instance number that is no order of phases."""
    return 1 + (3 * t + 2) % 8


def test_trigger_time_is_ranked_within_its_slice(tmp_path, study):
    set_all(study, InstanceNumber=shuffled, AcquisitionTime=lambda s, t: f"100000.{shuffled(s, t):02}")
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["trigger time"] * 4


@pytest.mark.parametrize("trigger", ["-1", "0", "nonsense"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
def test_temporal_position_where_trigger_times_say_nothing(tmp_path, study, trigger):
    set_all(study, TemporalPositionIdentifier=lambda s, t: t + 1, InstanceNumber=shuffled)
    for dataset in study.datasets:
        if trigger == "nonsense":
            dataset["TriggerTime"]._value = "nonsense"
        else:
            dataset.TriggerTime = trigger
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["temporal position"] * 4
    assert cine.timing.frame_times_ms is None
    assert cine.timing.rr_interval_ms == pytest.approx(study.rr_interval_ms)
    assert [note.code for note in cine.notes] == ["N_TIMES_UNKNOWN"]


def test_instance_number_where_nothing_else_is_there(tmp_path, study):
    set_all(study, slices=(1, 2), TriggerTime=None)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["trigger time", "instance number", "instance number", "trigger time"]
    (note,) = cine.notes
    assert note.code == "N_PHASE_ORDER"
    assert note.text == "the frames of 2 of 4 slices were put in order by instance number"
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.01)


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("percentage of the cardiac phase", {"NominalPercentageOfCardiacPhase": lambda s, t: t * 12.5}),
        ("acquisition time", {"AcquisitionTime": lambda s, t: f"1000{s:02}.{t}"}),
        ("acquisition number", {"AcquisitionNumber": lambda s, t: 10 * s + t}),
        ("content time", {"ContentTime": lambda s, t: f"10{s:02}{t:02}.5"}),
        ("series number", {"SeriesNumber": lambda s, t: t + 1, "SeriesInstanceUID": lambda s, t: SMALL.uid(t)}),
    ],
)
def test_one_attribute_that_tells_frames_apart_is_enough(tmp_path, study, rule, values):
    set_all(study, **{"TriggerTime": "0", "InstanceNumber": 1, "AcquisitionTime": "100000", **values})
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == [rule] * 4
    assert [note.code for note in cine.notes] == ["N_PHASE_ORDER", "N_TIMES_UNKNOWN"]
    assert rule in cine.notes[0].text
    assert "repeat" in cine.notes[1].text


def test_frames_before_the_r_wave_have_negative_times(tmp_path, study):
    set_all(study, TriggerTime=lambda s, t: f"{SMALL.trigger_ms(s, t) - 100:.2f}", InstanceNumber=shuffled)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert cine.timing.frame_times_ms[0] == pytest.approx(-100, abs=2)
    assert cine.notes == ()


def test_a_cine_of_several_beats_is_ordered_by_time(tmp_path, study):
    """Free breathing without gating: the RR interval is known, the time of a frame in it is not."""
    set_all(study, TriggerTime=lambda s, t: str(300 * t), InstanceNumber=lambda s, t: 8 - t)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["trigger time"] * 4
    assert (cine.timing.frame_times_ms, cine.timing.rr_source) == (None, "NominalInterval, mean over the slices")
    assert {frame.trigger_time_ms for frames in cine.dicom.frames for frame in frames} == {None}
    (note,) = cine.notes
    assert note.code == "N_TIMES_UNKNOWN"
    assert "of 4 of 4 slices cover several cardiac cycles, so that slices may not show the same moment" in note.text


def test_nothing_puts_phases_in_order(tmp_path, study):
    set_all(study, TriggerTime=None, InstanceNumber=None, AcquisitionTime="")
    write(study.datasets, tmp_path)
    refused("E_PHASE_ORDER", tmp_path, "8 frames of slice 1 apart")


def test_duplicated_trigger_times(tmp_path, study):
    study.at(1, 3).TriggerTime = study.at(1, 2).TriggerTime
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["trigger time", "instance number", "trigger time", "trigger time"]


def test_trigger_times_that_count_the_whole_examination(tmp_path, study):
    """Some examinations keep another time there: numbers of days fit no cardiac cycle."""
    set_all(study, TriggerTime=lambda s, t: str(90000 - 1000 * t))
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["instance number"] * 4
    assert cine.timing.frame_times_ms is None


def test_enhanced_phases_by_temporal_index_before_delay(tmp_path):
    study = enhanced_study(SMALL)
    for dataset in study.datasets:
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            frame.CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime = 5.0
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["temporal position"] * 4


def test_enhanced_temporal_index_by_its_pointer(tmp_path):
    study = enhanced_study(SMALL, shuffle=1)
    for dataset in study.datasets:
        dataset.DimensionIndexSequence = [dataset.DimensionIndexSequence[i] for i in (2, 0, 1)]
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            content = frame.FrameContentSequence[0]
            content.DimensionIndexValues = [content.DimensionIndexValues[i] for i in (2, 0, 1)]
            del content.TemporalPositionIndex
            del frame.CardiacSynchronizationSequence
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["temporal position"] * 4


def test_enhanced_phases_by_delay_and_by_frame_number(tmp_path):
    study = enhanced_study(SMALL)
    for dataset in study.datasets:
        del dataset.DimensionIndexSequence
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            del frame.FrameContentSequence[0].TemporalPositionIndex
    cine = read(study.datasets, tmp_path / "delay")
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["trigger time"] * 4
    for dataset in study.datasets:
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            del frame.CardiacSynchronizationSequence
    cine = read(study.datasets, tmp_path / "number")
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["instance number"] * 4


@pytest.mark.parametrize(("s", "t"), [(0, 0), (2, 3), (2, 7)])
def test_a_missing_phase(tmp_path, study, s, t):
    write([d for d in study.datasets if d is not study.at(s, t)], tmp_path)
    refused("E_MISSING_PHASE", tmp_path, "expected 8 frames", f"got 7 in slice {s + 1}", "`nearest_phase`")
    cine = read_dicom(tmp_path, nearest_phase=True)
    others = [part for part in range(8) if part != t]
    np.testing.assert_array_equal(np.delete(cine.image, t, 0)[:, s], study.image[others, s])
    assert any(np.array_equal(cine.image[t, s], study.image[near % 8, s]) for near in (t - 1, t + 1))
    np.testing.assert_array_equal(np.delete(cine.image, s, 1), np.delete(study.image, s, 1))
    (note,) = cine.notes
    assert note.code == "N_NEAREST_PHASE"
    assert note.text.startswith(f"slice {s + 1} has 7 frames instead of 8")
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.01)


def test_slices_with_more_and_with_far_fewer_phases(tmp_path, study):
    more = classic_study(Recipe(frames=10, slices=4, size=(32, 40)))
    write(study.datasets[:24] + more.datasets[30:], tmp_path / "more")
    refused("E_MISSING_PHASE", tmp_path / "more", "got 10 in slice 4", "nearest_phase")
    cine = read_dicom(tmp_path / "more", nearest_phase=True)
    nearest = np.abs((np.arange(8)[:, None] / 8 - np.arange(10) / 10 + 0.5) % 1 - 0.5).argmin(axis=1)
    np.testing.assert_array_equal(cine.image[:, 3], more.image[nearest, 3])
    write(study.datasets[:24] + study.datasets[24:27], tmp_path / "fewer")
    for asked in (False, True):
        advice = "fills only slices with at least half", "send all frames of slice 4"
        refused("E_MISSING_PHASE", tmp_path / "fewer", "got 3 in slice 4", *advice, nearest_phase=asked)


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
    assert f"trigger times of 4 of 4 slices fit a cardiac cycle only in {unit}" in note.text
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
    assert "fit no cardiac cycle in ms, s or us" in cine.notes[1].text


def test_times_of_one_slice_that_fit_no_beat(tmp_path, study):
    set_all(study, slices=(2,), TriggerTime=lambda s, t: str(4e7 + 30 * t))
    cine = read(study.datasets, tmp_path)
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.02)
    assert [note.code for note in cine.notes] == ["N_PHASE_ORDER", "N_TIMES_UNKNOWN"]
    assert "of 1 of 4 slices fit no cardiac cycle in ms, s or us; the times of the other" in cine.notes[1].text


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
