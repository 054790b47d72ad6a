"""What the networks are trained on: reading, resampling, random views, batches, splits."""

import json
import math
from dataclasses import replace

import pytest
import torch
from tiny_training import CONFIG, SMALL, ring_stacks, write_acdc
from torch.nn import functional

from cardiacseg.training.augment import (
    Intensity,
    Planes,
    affine_points,
    change_intensity,
    choose_slices,
    pack,
    random_linear_map,
    read_labels,
    read_values,
)
from cardiacseg.training.batches import Batches
from cardiacseg.training.config import Augmentation, paper
from cardiacseg.training.data import draw_split, load_stacks, resample_plane, split_patients, write_split
from cardiacseg.training.processes import Processes

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stacks():
    return ring_stacks()


def test_loading_reads_the_layout_and_resamples_to_the_model_spacing(tmp_path):
    (stack,) = load_stacks(write_acdc(tmp_path), ["patient001"], SMALL)
    assert stack.name == "patient001_frame01"
    # rows have 2.0 mm, columns 1.5 mm: 48 rows stay 48, 56 columns become 42
    assert stack.image.shape == stack.labels.shape == (3, 48, 42)
    assert stack.coarse_image.shape == (3, 24, 21)
    row, column = stack.heart_center()
    assert row == pytest.approx(24, abs=1) and column == pytest.approx((30 - 4.5) * 0.75, abs=1.5)


def test_resampling_keeps_a_constant_and_halves_a_ramp():
    ramp = torch.arange(8.0).expand(1, 8, 8).contiguous()
    halved = resample_plane(ramp, (1.0, 0.5))
    assert halved.shape == (1, 8, 4)
    torch.testing.assert_close(halved[0, 0, 1:3], torch.tensor([2.5, 4.5]))
    torch.testing.assert_close(resample_plane(torch.full((1, 5, 7), 3.0), (0.37, 1.9)), torch.full((1, 2, 13), 3.0))


def test_packed_slices_of_any_size_are_read_as_grid_sample_reads_each():
    generator = torch.Generator().manual_seed(2)
    stacks = [torch.rand(2, 7, 9, generator=generator), torch.rand(3, 12, 5, generator=generator)]
    labels = [torch.randint(4, stack.shape, generator=generator, dtype=torch.uint8) for stack in stacks]
    planes = Planes([stack.shape for stack in stacks], CPU)
    slices = torch.tensor([4, 0, 2, 1])
    center = torch.tensor([[2.0, 6.5], [4.0, 3.0], [0.2, 11.0], [30.0, 30.0]])
    x, y = affine_points(center, random_maps(Augmentation(), 4), 16, 0.7)
    corners = planes.corners(slices, (x, y))
    values, found = read_values(pack(stacks, CPU), corners), read_labels(pack(labels, CPU), corners)
    assert planes.first == [0, 2, 5] and 0 < (found > 0).float().mean() < 1 and not found[3].any()
    for index, (stack, number) in enumerate([(1, 2), (0, 0), (1, 0), (0, 1)]):
        height, width = stacks[stack].shape[1:]
        grid = torch.stack([(x[index] + 0.5) / width, (y[index] + 0.5) / height], dim=-1)[None] * 2 - 1
        one_hot = functional.one_hot(labels[stack][number].long(), 4).movedim(-1, 0)[1:].float()
        expected = functional.grid_sample(
            torch.cat([stacks[stack][number][None], one_hot])[None], grid, align_corners=False
        )[0]
        torch.testing.assert_close(values[index], expected[0], atol=1e-5, rtol=0)
        assert torch.equal(
            found[index], torch.cat([1 - expected[1:].sum(dim=0, keepdim=True), expected[1:]]).argmax(dim=0)
        )


def test_each_stack_of_a_batch_has_its_own_change_of_intensities():
    flat, image = torch.zeros(4, 4), torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    square = Intensity(offset=0.1, gain=0.5, gamma=2.0, noise=0.0, blurs=0, bias=flat)
    blurred = Intensity(offset=0.0, gain=1.0, gamma=1.0, noise=0.25, blurs=2, bias=flat + math.log(0.5))
    noise = torch.ones(2, 3, 8, 8)
    changed = change_intensity(image, [square, blurred], noise)
    torch.testing.assert_close(changed[0], ((image[0] + 0.1) * 0.5) ** 2)
    inner = functional.conv2d(image[1][:, None], torch.ones(1, 1, 3, 3) / 9)  # without the border
    torch.testing.assert_close(
        changed[1, :, 2:-2, 2:-2], functional.conv2d(inner, torch.ones(1, 1, 3, 3) / 9)[:, 0] / 2 + 0.25
    )
    assert torch.equal(change_intensity(image[1:], [blurred], noise[1:]), changed[1:])


def random_maps(settings, count=300):
    generator = torch.Generator().manual_seed(1)
    return torch.stack([random_linear_map(settings, generator) for _ in range(count)])


def test_linear_maps_cover_turns_flips_and_spacing_errors():
    settings = Augmentation()
    maps = random_maps(settings)
    determinants = torch.linalg.det(maps)
    zoom = determinants.abs().sqrt()
    assert 1 / settings.scale[1] - 1e-3 <= zoom.min() < 0.8 and 1.25 < zoom.max() <= 1 / settings.scale[0] + 1e-3
    assert 0.1 < (determinants < 0).float().mean() < 0.4
    torch.testing.assert_close(maps @ maps.transpose(1, 2), (zoom**2)[:, None, None] * torch.eye(2).expand(300, 2, 2))
    # where the x axis ends up: within 30 degrees of each of the four directions
    angle = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))
    for direction in (0, 90, -90):
        assert ((angle - direction).abs() < 30).any()
    assert (angle.abs() > 150).any()


def test_the_papers_views_are_turned_and_flipped_but_not_scaled_or_quarter_turned():
    maps = random_maps(paper().augmentation)
    signs = {(float(row[0][0].sign()), float(row[1][1].sign())) for row in maps}
    assert signs == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    torch.testing.assert_close(torch.linalg.det(maps).abs(), torch.ones(300))
    assert (maps[:, 0, 0].abs() > 0.86).all()


def test_chosen_slices_are_adjacent_or_any_in_order():
    generator = torch.Generator().manual_seed(0)
    runs = {tuple(choose_slices(6, 4, False, generator).tolist()) for _ in range(50)}
    assert runs == {(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)}
    sets = {tuple(choose_slices(6, 4, True, generator).tolist()) for _ in range(200)}
    assert len(sets) == 15 and all(list(found) == sorted(set(found)) for found in sets)


def test_batches_are_a_function_of_the_step(stacks):
    batches = Batches(stacks, CONFIG)
    first, again, other = batches[1], batches[1], batches[2]
    assert all(torch.equal(a, b) for a, b in zip(first[:4], again[:4], strict=True))
    assert first.image.shape[-2:] == (16, 16) and other.image.shape[-2:] == (32, 32)
    assert first.image.min() >= 0 and first.image.max() <= 1
    assert set(first.labels.unique().tolist()) <= {0, 1, 2, 3} and (first.labels > 0).any()
    different = Batches(stacks, replace(CONFIG, seed=1))[1]
    assert not torch.equal(first.image[0, 0], different.image[0, 0])


def test_processes_share_the_stacks_of_a_step(stacks):
    whole = Batches(stacks, CONFIG)[3][:4]
    parts = [Batches(stacks, CONFIG, Processes(rank, 2))[3][:4] for rank in range(2)]
    assert all(torch.equal(torch.cat(halves), both) for *halves, both in zip(*parts, whole, strict=True))
    with pytest.raises(ValueError, match="multiple of the 3 processes, got 2"):
        Batches(stacks, CONFIG, Processes(0, 3))
    with pytest.raises(ValueError, match="at least 4 stacks for each step, got 3"):
        Batches(stacks, replace(CONFIG, stacks_per_step=4))


def test_slices_are_dropped_as_often_as_asked_and_three_stay():
    stacks = ring_stacks((8, 8))
    for probability, lowest, highest in ((0.0, 0, 0), (0.5, 4, 16), (1.0, 20, 20)):
        config = replace(CONFIG, augmentation=replace(CONFIG.augmentation, slice_drop_probability=probability))
        counts = [Batches(stacks, config)[step].image.shape[1] for step in range(20)]
        assert lowest <= sum(count < 8 for count in counts) <= highest
        assert min(counts) >= 3
    few = replace(CONFIG, augmentation=replace(CONFIG.augmentation, slice_drop_probability=1.0))
    assert Batches(ring_stacks((2, 3)), few)[0].image.shape[1] == 2


def test_a_split_is_read_where_there_is_one_and_else_drawn_and_kept(tmp_path):
    data, made = write_acdc(tmp_path / "data"), tmp_path / "run/splits.json"
    assert split_patients(data, None, made) == (["patient001", "patient002"], ["patient003"])
    (data / "splits.json").rename(tmp_path / "mine.json")
    drawn = split_patients(data, None, made, fraction=0.5, seed=4)
    assert sorted(drawn[0] + drawn[1]) == ["patient001", "patient002", "patient003"] and len(drawn[1]) == 2
    write_split(made, *drawn)
    assert split_patients(data, None, made, fraction=0.1, seed=5) == drawn
    assert split_patients(data, tmp_path / "mine.json", made) == (["patient001", "patient002"], ["patient003"])
    with pytest.raises(FileExistsError, match="another split"):
        write_split(made, ["patient001"], ["patient002"])
    (data / "splits.json").write_text(json.dumps({"train": ["patient001", "patient002"], "val": ["patient002"]}))
    with pytest.raises(ValueError, match="patient002 in both"):
        split_patients(data, None, made)


def test_a_drawn_split_has_the_share_and_follows_the_seed():
    patients = [f"p{number}" for number in range(20)]
    training, validation = draw_split(patients, 0.15, 0)
    assert len(validation) == 3 and not set(training) & set(validation) and len(training) == 17
    assert draw_split(patients[::-1], 0.15, 0) == (training, validation)
    assert draw_split(patients, 0.15, 1) != (training, validation)
    assert [len(part) for part in draw_split(["a", "b"], 0.9, 0)] == [1, 1]
    with pytest.raises(ValueError, match=r"at least 2 patients.*got 1"):
        draw_split(["a"], 0.15, 0)
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        draw_split(patients, 1.5, 0)
