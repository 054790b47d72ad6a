"""The order of phases with everything that headers lack; retakes, missing phases and times."""

import numpy as np
import pytest
from dicom_reading import read, refused
from made_up_dicom import Recipe, classic_study, write
from made_up_enhanced import enhanced_study

from cardiacseg.io.dicom.read import read_dicom

SMALL = Recipe(slices=4, size=(32, 40))


@pytest.fixture
def study():
    return classic_study(SMALL)


def set_all(study, slices=range(4), **values):
    """Set attributes in every phase of some slices; a value may be a function of slice and phase."""
    for s in slices:
        for t in range(study.recipe.frames):
            for name, value in values.items():
                setattr(study.at(s, t), name, value(s, t) if callable(value) else value)


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
    assert note.text == "the phases of 2 of 4 slices were put in order by instance number"
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.01)


def test_acquisition_time_at_last(tmp_path, study):
    set_all(study, TriggerTime="12", InstanceNumber=1)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert orders(cine) == ["acquisition time"] * 4


def test_nothing_puts_phases_in_order(tmp_path, study):
    set_all(study, TriggerTime=None, InstanceNumber=None, AcquisitionTime="")
    write(study.datasets, tmp_path)
    refused("E_PHASE_ORDER", tmp_path, "8 phases of slice 1 apart")


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
    refused("E_MISSING_PHASE", tmp_path, "wanted 8 phases", f"slice {s + 1} has 7")
    cine = read_dicom(tmp_path, nearest_phase=True)
    others = [part for part in range(8) if part != t]
    np.testing.assert_array_equal(np.delete(cine.image, t, 0)[:, s], study.image[others, s])
    assert any(np.array_equal(cine.image[t, s], study.image[near % 8, s]) for near in (t - 1, t + 1))
    np.testing.assert_array_equal(np.delete(cine.image, s, 1), np.delete(study.image, s, 1))
    (note,) = cine.notes
    assert note.code == "N_NEAREST_PHASE"
    assert note.text.startswith(f"slice {s + 1} has 7 phases instead of 8")
    np.testing.assert_allclose(cine.timing.frame_times_ms, study.frame_times_ms, atol=0.01)


def test_slices_with_more_and_with_far_fewer_phases(tmp_path, study):
    more = classic_study(Recipe(frames=10, slices=4, size=(32, 40)))
    write(study.datasets[:24] + more.datasets[30:], tmp_path / "more")
    refused("E_MISSING_PHASE", tmp_path / "more", "slice 4 has 10")
    cine = read_dicom(tmp_path / "more", nearest_phase=True)
    nearest = np.abs((np.arange(8)[:, None] / 8 - np.arange(10) / 10 + 0.5) % 1 - 0.5).argmin(axis=1)
    np.testing.assert_array_equal(cine.image[:, 3], more.image[nearest, 3])
    write(study.datasets[:24] + study.datasets[24:27], tmp_path / "fewer")
    refused("E_MISSING_PHASE", tmp_path / "fewer", "slice 4 has 3", nearest_phase=True)


def retake(study, s, name, brighter=50, **values):
    """Slice ``s`` once more, in a series of its own unless ``values`` say otherwise."""
    made = []
    for t in range(study.recipe.frames):
        again = type(study.at(s, t)).from_json(study.at(s, t).to_json())
        again.file_meta = type(study.at(s, t).file_meta).from_json(study.at(s, t).file_meta.to_json())
        again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = SMALL.uid(name, s, t)
        again.SeriesInstanceUID = SMALL.uid(name)
        again.TriggerTime = f"{float(again.TriggerTime) * 1.03:.2f}"
        again.PixelData = (study.stored[t, s] + brighter).astype("<u2").tobytes()
        for key, value in values.items():
            setattr(again, key, value)
        made.append(again)
    return made


def test_a_slice_taken_twice(tmp_path, study):
    again = retake(study, 1, "retake", AcquisitionTime="110000", SeriesNumber=1)
    write(study.datasets + again, tmp_path, shuffle=4)
    refused("E_DUPLICATE_SLICE", tmp_path, "slice 2 was taken 2 times")
    cine = read_dicom(tmp_path, latest_retake=True)
    np.testing.assert_array_equal(cine.image[:, 1], study.image[:, 1] + 50)
    np.testing.assert_array_equal(np.delete(cine.image, 1, 1), np.delete(study.image, 1, 1))
    (note,) = cine.notes
    assert note.code == "N_LATEST_RETAKE"
    assert note.text.startswith("slice 2 was taken 2 times")
    assert {f.series_instance_uid for f in (frames[1] for frames in cine.dicom.frames)} == {SMALL.uid("retake")}


def test_the_latest_take_must_be_complete(tmp_path, study):
    again = retake(study, 1, "retake", AcquisitionTime="110000")[:5]
    cine = read(study.datasets + again, tmp_path, latest_retake=True)
    np.testing.assert_array_equal(cine.image, study.image)
    assert [note.code for note in cine.notes] == ["N_LATEST_RETAKE"]


def test_takes_without_times_by_series_number(tmp_path, study):
    set_all(study, AcquisitionTime="", AcquisitionDate="")
    again = retake(study, 1, "retake", SeriesNumber=99999)
    cine = read(study.datasets + again, tmp_path, latest_retake=True)
    np.testing.assert_array_equal(cine.image[:, 1], study.image[:, 1] + 50)


def test_a_take_in_the_same_series_by_acquisition_number(tmp_path, study):
    again = retake(study, 2, "x", AcquisitionNumber=77, SeriesInstanceUID=study.at(2, 0).SeriesInstanceUID)
    cine = read(study.datasets + again, tmp_path, latest_retake=True)
    np.testing.assert_array_equal(cine.image[:, 2], study.image[:, 2] + 50)


def test_doubled_images_that_nothing_tells_apart(tmp_path, study):
    again = retake(study, 2, "x", SeriesInstanceUID=study.at(2, 0).SeriesInstanceUID)
    write(study.datasets + again, tmp_path)
    for repair in (False, True):
        refused("E_DUPLICATE_SLICE", tmp_path, "slice 3 has 16 images", latest_retake=repair)


def test_different_images_with_one_uid(tmp_path, study):
    study.at(2, 3).SOPInstanceUID = study.at(2, 2).SOPInstanceUID
    study.at(2, 3).file_meta.MediaStorageSOPInstanceUID = study.at(2, 2).SOPInstanceUID
    write(study.datasets, tmp_path)
    refused("E_DUPLICATE_SLICE", tmp_path, "IM0018 and IM0019 differ")


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
