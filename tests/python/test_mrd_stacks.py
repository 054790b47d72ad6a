"""Images of a session grouped into cines: geometry, slices, frames, times, and what is no short-axis cine."""

import random

import numpy as np
import pytest
from mrd_client import DIRECTION, FRAME_MS, TICK_MS, cine_images, ismrmrd, mrd_image, sources

from cardiacseg.acquisition import Body
from cardiacseg.network.mrd.stacks import StackOptions, find_stacks

SPACING = (9.0, 1.5, 1.25)
CINE = np.random.default_rng(5).integers(0, 4000, (5, 4, 12, 16)).astype(np.uint16)
DEFAULT = StackOptions()
LONG_AXIS = DIRECTION[:, [2, 1, 0]] * [1, 1, -1]


def stacks_of(images, options=DEFAULT, **more):
    return find_stacks(sources(images), options, **more)


def only_stack(images, options=DEFAULT, **more):
    (stack,), refusals = stacks_of(images, options, **more)
    assert refusals == []
    return stack


def refused(images, options=DEFAULT):
    stacks, (refusal,) = stacks_of(images, options)
    assert stacks == [] and len(refusal.sources) == len(images)
    return str(refusal.error)


def shuffled(images):
    return random.Random(1).sample(images, len(images))


def moved(images, s, offset):
    for image in images:
        if image.slice == s:
            head = image.getHead()
            head.position[:] = [float(a + b) for a, b in zip(head.position, offset, strict=True)]
            image.setHead(head)
    return images


def test_a_cine_in_any_order():
    stack = only_stack(shuffled(cine_images(CINE, SPACING)), body=Body(1.75, 70.0))
    cine, geometry = stack.cine, stack.cine.geometry
    assert np.array_equal(cine.image, CINE) and cine.image.dtype == np.uint16
    assert cine.spacing == pytest.approx(SPACING) and cine.body == Body(1.75, 70.0) and cine.notes == ()
    # The first pixel's center lies 7.5 columns and 5.5 rows before the middle of 16 x 12 pixels.
    middle = np.array([-12.0, 5.0, 30.0])
    corner = middle - DIRECTION[:, 0] * 7.5 * 1.25 - DIRECTION[:, 1] * 5.5 * 1.5
    assert geometry.origin == pytest.approx(tuple(corner), abs=1e-4)
    assert geometry.direction == pytest.approx(DIRECTION, abs=1e-6) and geometry.size == (16, 12, 4)
    places = [(place.frame, place.slices) for place in stack.places]
    assert places == [(t, (s,)) for s in range(4) for t in range(5)]
    assert all(np.array_equal(p.source.image.pixels[0, 0], CINE[p.frame, p.slices[0]]) for p in stack.places)


def test_times_and_rr_interval():
    images = cine_images(np.concatenate([CINE, CINE]), SPACING)
    timing = only_stack(images).cine.timing
    assert timing.frame_times_ms == tuple(FRAME_MS * t for t in range(10))
    assert timing.rr_interval_ms == pytest.approx(400) and timing.rr_source.startswith("estimated")
    assert only_stack(images, StackOptions(tick_ms=2 * TICK_MS)).cine.timing.rr_interval_ms == pytest.approx(800)
    few = only_stack(cine_images(CINE, SPACING)).cine.timing
    assert len(few.frame_times_ms) == 5 and few.rr_interval_ms is None
    still = only_stack([mrd_image(image.data[0], (6, 1.5, 1.25), image.position, slice=image.slice, phase=image.phase)
                        for image in cine_images(CINE, SPACING)]).cine.timing  # fmt: skip
    assert still.frame_times_ms is None and still.rr_interval_ms is None


def test_three_dimensional_images_against_the_normal():
    back = DIRECTION * [1, 1, -1]  # slice_dir against columns x rows
    images = [mrd_image(stack, SPACING, (1, 2, 3), back, phase=t, time=16 * t) for t, stack in enumerate(CINE)]
    stack = only_stack(shuffled(images))
    assert np.array_equal(stack.cine.image, CINE[:, ::-1]) and stack.cine.spacing == pytest.approx(SPACING)
    assert [(place.frame, place.slices) for place in stack.places] == [(t, (3, 2, 1, 0)) for t in range(5)]
    centers = stack.cine.geometry.slice_positions() @ DIRECTION[:, 2]
    assert centers == pytest.approx((np.array([1, 2, 3]) @ DIRECTION[:, 2]) + 9 * (np.arange(4) - 1.5), abs=1e-4)


def test_directions_in_the_attributes_go_first():
    turned = DIRECTION[:, [1, 0, 2]]
    rows, columns = ([f"{value:.18f}" for value in DIRECTION[:, axis]] for axis in (0, 1))
    attributes = {"ImageRowDir": rows, "ImageColumnDir": columns}
    images = cine_images(CINE, SPACING)
    for image in images:
        head = image.getHead()
        head.read_dir[:], head.phase_dir[:] = turned[:, 0].tolist(), turned[:, 1].tolist()
        image.setHead(head)
        image.attribute_string = ismrmrd.Meta(attributes).serialize()
    assert only_stack(images).cine.geometry.direction == pytest.approx(DIRECTION, abs=1e-9)
    for image in images:
        image.attribute_string = ismrmrd.Meta({"ImageRowDir": ["x", "0", "0"]}).serialize()
    assert only_stack(images).cine.geometry.direction[:, 0] == pytest.approx(turned[:, 0], abs=1e-6)


def test_several_kinds_at_once():
    cine, other = cine_images(CINE, SPACING), cine_images(CINE[:2, :3], SPACING, image_series_index=4)
    phase = cine_images(CINE[:, :1], SPACING, image_type=ismrmrd.IMTYPE_PHASE)
    long_axis = [mrd_image(CINE[t, 0], (6, 1.5, 1.25), direction=LONG_AXIS, phase=t) for t in range(5)]
    stacks, refusals = stacks_of(shuffled(cine + other + phase + long_axis))
    assert sorted(stack.cine.image.shape[:2] for stack in stacks) == [(2, 3), (5, 4)]
    found = sorted((refusal.error.code, len(refusal.sources)) for refusal in refusals)
    assert found == [("E_NOT_A_CINE", 5), ("E_NO_SAX", 5)]


def test_a_cine_over_several_series():
    images = [image for s in range(4) for image in cine_images(CINE, SPACING)[5 * s : 5 * s + 5]]
    for place, image in enumerate(images):
        image.image_series_index = place // 5
    assert np.array_equal(only_stack(images, by_series=False).cine.image, CINE)
    assert len(stacks_of(images)[1]) == 4


def test_the_last_repetition_counts():
    again = [image for image in cine_images(CINE + 1, SPACING, repetition=1) if image.slice == 2]
    stack = only_stack(again + cine_images(CINE, SPACING))
    assert np.array_equal(stack.cine.image[:, 2], CINE[:, 2] + 1) and np.array_equal(stack.cine.image[:, 1], CINE[:, 1])
    assert [note.code for note in stack.cine.notes] == ["N_LATEST_RETAKE"]


def test_of_equal_repetitions_the_latest_image_counts():
    later = cine_images(CINE + 1, SPACING, acquisition_time_stamp=9)
    assert np.array_equal(only_stack(later + cine_images(CINE, SPACING)).cine.image, CINE + 1)
    assert np.array_equal(only_stack(cine_images(CINE + 1, SPACING) + cine_images(CINE, SPACING)).cine.image, CINE)


def test_late_enhancement_and_maps():
    """A name counts only beside another sign, a single phase or an inversion time."""
    name = {"SequenceDescription": "sax_PSIR"}
    inverted = {"InversionTime": "300.5"}
    assert "one phase, and a name of" in refused(cine_images(CINE[:1], SPACING, attributes=name))
    assert "an inversion time, and a name of" in refused(cine_images(CINE, SPACING, attributes=name | inverted))
    for attributes in (name, inverted, {"InversionTime": "nan"}, name | {"InversionTime": "none"}):
        assert only_stack(cine_images(CINE, SPACING, attributes=attributes)).cine.image.shape == CINE.shape
    images = [image for t in range(3) for image in
              cine_images(CINE[t : t + 1], SPACING, attributes={"InversionTime": str(100 * t + 100)})]  # fmt: skip
    for number, image in enumerate(images):
        image.phase = number // 4
    assert "the inversion time changes" in refused(images)


def test_phases_numbered_over_all_slices():
    images = cine_images(CINE, SPACING)
    for image in images:
        image.phase = 4 * image.phase + image.slice
    assert np.array_equal(only_stack(images).cine.image, CINE)


def test_one_slice_if_one_is_expected():
    stack = only_stack(cine_images(CINE[:, :1], SPACING), StackOptions(slices=1, phases=5))
    assert stack.cine.spacing[0] == 6.0 and [note.code for note in stack.cine.notes] == ["N_ONE_SLICE"]


def test_what_lacks_images():
    images = cine_images(CINE, SPACING)
    assert "slice 2 of 4 has 4 of 5 phases" in refused(images[:6] + images[7:])
    each_lacks_one = [image for image in images if image.phase != image.slice]
    assert refused(each_lacks_one).startswith("E_MISSING_PHASE")
    assert "expected 6 equal phases" in refused(images, StackOptions(phases=6))
    assert "expected 5 parallel slices, got 4" in refused(images, StackOptions(slices=5))
    assert "at least 3 parallel slices, got 2" in refused(images[:10])


def test_what_has_no_regular_grid():
    along = DIRECTION[:, 2] * 3
    assert refused(moved(cine_images(CINE, SPACING), 3, along)).startswith(
        "E_NONUNIFORM_SPACING: slices are 9.00 to 12"
    )
    uneven = only_stack(moved(cine_images(CINE, SPACING), 3, along), StackOptions(uneven=True)).cine
    assert uneven.geometry.slice_offsets_mm == pytest.approx((0, 9, 18, 30), abs=1e-4)
    assert [note.code for note in uneven.notes] == ["N_UNEVEN"]
    beside = moved(cine_images(CINE, SPACING), 1, DIRECTION[:, 0] * 4)
    assert refused(beside).startswith("E_SHIFTED_SLICE: a slice lies 4.0 mm beside")
    same = moved(cine_images(CINE, SPACING), 1, DIRECTION[:, 2] * -9)
    assert refused(same).startswith("E_DUPLICATE_SLICE")


@pytest.mark.parametrize(
    ("field", "values"),
    [("read_dir", (0, 0, 0)), ("position", (np.nan, 0, 0)), ("field_of_view", (0, 10, 10)), ("phase_dir", (1, 1, 1))],
)
def test_what_has_no_place(field, values):
    images = cine_images(CINE, SPACING)
    for image in images:
        head = image.getHead()
        getattr(head, field)[:] = [float(value) for value in values]
        image.setHead(head)
    assert refused(images).startswith("E_NO_GEOMETRY")


def test_what_is_no_cine():
    assert refused(cine_images(CINE, SPACING, set=1)).startswith("E_NOT_A_CINE")
    assert refused(cine_images(CINE.astype(np.complex64), SPACING)).startswith("E_NOT_A_CINE")
    perfusion = [image for t in range(5) for image in cine_images(CINE[t : t + 1], SPACING, repetition=t)]
    assert "one phase and 5 images, as perfusion has" in refused(perfusion)
    axial = [mrd_image(CINE[0, s], (6, 1.5, 1.25), (0, 0, 9 * s), np.eye(3), slice=s) for s in range(4)]
    assert refused(axial).startswith("E_NO_SAX: expected planes within 45 degrees of it, got axial")
    assert only_stack(axial, StackOptions(plane="any")).cine.image.shape == (1, 4, 12, 16)


def test_no_more_groups_than_a_bound():
    from cardiacseg.errors import MrdError

    images = [mrd_image(CINE[0, 0], SPACING, measurement_uid=number) for number in range(257)]
    with pytest.raises(MrdError, match="E_TOO_LARGE: expected images of at most 256"):
        stacks_of(images)
