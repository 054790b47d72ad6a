"""The order of frames with everything that headers lack, and slices with fewer frames than others."""

import numpy as np
import pytest
from dicom_reading import SMALL, read, refused, set_all
from made_up_dicom import Recipe, classic_study, write
from made_up_enhanced import enhanced_study

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
    """Free breathing, without a gate: the beat is known, and when in it a frame was taken is not."""
    set_all(study, TriggerTime=lambda s, t: str(300 * t), InstanceNumber=lambda s, t: 8 - t)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["trigger time"] * 4
    assert (cine.timing.frame_times_ms, cine.timing.rr_source) == (None, "NominalInterval, mean over the slices")
    assert {frame.trigger_time_ms for frames in cine.dicom.frames for frame in frames} == {None}
    (note,) = cine.notes
    assert note.code == "N_TIMES_UNKNOWN"
    assert "of 4 of 4 slices cover several beats, so that slices may not show the same moment" in note.text


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
    """Some examinations keep another time there: with numbers of days no phase would fit in a beat."""
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
