"""Every registered model: forward, backward, any number of slices, frames that never see each other."""

import sys

import pytest
import torch

from cardiacseg.models import SystemConfig, create_model, list_models
from cardiacseg.models.comparison import DetSeg, DetSegConfig, heart_box, pixel_grid, sample
from cardiacseg.models.sk_unet import Attention, SelectiveKernelConv, SkUNet, SkUNetConfig, SliceFusionTransformer


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


ROWS = {
    "sk_unet": set(),
    "after_unet": set(),
    "det_seg": {"heart_logits"},
    "sk_unet_ref": {"ref_logits"},
    "sk_unet_ref_mt": {"ref_logits", "presence_logits"},
    "after_unet_mt": {"presence_logits"},
    "seg_ref": {"ref_logits"},
    "seg_ref_mt": {"ref_logits", "presence_logits"},
    "nnunet_2d": set(),
    "seg_ref_mt_tiny": {"ref_logits", "presence_logits"},
}
SHAPES = {
    "seg_logits": (2, 3, 4, 64, 96),
    "ref_logits": (2, 3, 4, 64, 96),
    "presence_logits": (2, 3, 3),
    "heart_logits": (2, 3, 1, 16, 24),
}


def test_the_rows_of_the_paper_are_there():
    assert list_models() == sorted(ROWS)


@pytest.mark.parametrize("name", list_models())
def test_forward_and_backward_reach_every_weight(name):
    model = create_model(name)
    assert model.seg.stride in (16, 32) and 64 % model.seg.stride == 0
    output = model(torch.rand(2, 3, 1, 64, 96))
    given = {key: value for key, value in output._asdict().items() if value is not None}
    assert {key: tuple(value.shape) for key, value in given.items()} == {
        key: SHAPES[key] for key in ROWS[name] | {"seg_logits"}
    }
    assert output.logits is (output.seg_logits if model.ref is None else output.ref_logits)
    heart = model.locate(torch.rand(1, 2, 1, 16, 24))
    assert heart.shape == (1, 2, 1, 16, 24)
    (sum(value.sum() for value in given.values()) + heart.sum()).backward()
    without = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.isfinite().all()]
    assert without == []


@pytest.mark.parametrize("name", list_models())
def test_weights_are_stored_once(name):
    stored = [tensor.data_ptr() for tensor in create_model(name).state_dict().values()]
    assert len(set(stored)) == len(stored)


def test_all_rows_have_the_same_convolutions():
    def convolutions(network):
        return [value.shape for key, value in network.state_dict().items() if value.ndim == 4]

    seg, ref = (convolutions(network) for network in (create_model("seg_ref_mt").seg, create_model("seg_ref_mt").ref))
    for name in ("sk_unet", "after_unet", "after_unet_mt", "sk_unet_ref", "sk_unet_ref_mt", "seg_ref"):
        model = create_model(name)
        assert convolutions(model.seg) == seg, name
        assert model.ref is None or convolutions(model.ref) == ref, name
    assert convolutions(create_model("det_seg").seg.seg) == seg


def test_nnunet_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures.architectures.unet", None)
    with pytest.raises(ImportError, match=r'pip install "cardiacseg\[nnunet\]"'):
        create_model("nnunet_2d")


def test_a_classifier_before_the_last_stage_is_refused():
    sizes = SkUNetConfig(presence_classes=3)
    with pytest.raises(ValueError, match="on the last stage"):
        SystemConfig(locate=SkUNetConfig(), seg=sizes, ref=sizes)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown model 'resnet'.*seg_ref_mt"):
        create_model("resnet")


def test_the_default_keeps_its_budget():
    from torch.utils.flop_counter import FlopCounterMode

    model = create_model("seg_ref_mt").eval()
    assert sum(parameter.numel() for parameter in model.parameters()) * 4 <= 25e6
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.rand(1, 2, 1, 128, 128))
    assert counter.get_total_flops() / 2 <= 9e9


@pytest.mark.parametrize("slices", [1, 2, 7, 18])
def test_frames_are_independent_and_slices_are_not(slices):
    model = create_model("seg_ref_mt_tiny").eval()
    cine = torch.rand(2, slices, 1, 32, 32)
    with torch.no_grad():
        together = model(cine)
        for frame in range(2):
            alone = model(cine[frame : frame + 1])
            torch.testing.assert_close(alone.ref_logits[0], together.ref_logits[frame], rtol=1e-4, atol=1e-5)
        changed = cine.clone()
        changed[0, -1] = 0
        other = model(changed)
    torch.testing.assert_close(other.ref_logits[1], together.ref_logits[1], rtol=1e-4, atol=1e-5)
    if slices > 1:
        assert not torch.allclose(other.seg_logits[0, 0], together.seg_logits[0, 0], atol=1e-6)


def test_the_order_of_slices_carries_no_information():
    model = create_model("seg_ref_mt_tiny").eval()
    stack = torch.rand(1, 6, 1, 32, 32)
    with torch.no_grad():
        forward, backward = model(stack), model(stack.flip(1))
    torch.testing.assert_close(backward.ref_logits.flip(1), forward.ref_logits, rtol=1e-4, atol=1e-5)


def test_attention_is_softmax_attention():
    attention = Attention(16, heads=4)
    tokens = torch.randn(3, 5, 16)
    query, key, value = attention.qkv(tokens).reshape(3, 5, 3, 4, 4).permute(2, 0, 3, 1, 4)
    reference = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    reference = attention.project(reference.transpose(1, 2).reshape(3, 5, 16))
    torch.testing.assert_close(attention(tokens), reference)
    with pytest.raises(ValueError, match="multiple of heads"):
        Attention(16, heads=3)


def test_intra_slice_attention_mixes_positions_and_inter_slice_attention_does_not():
    fusion = SliceFusionTransformer(8, heads=2).eval()
    features = torch.randn(1, 3, 8, 2, 2)
    touched = features.clone()
    touched[0, 2, :, 1, 1] = torch.randn(8)

    def inter(maps):
        tokens = maps.reshape(1, 3, 8, 4).permute(0, 3, 1, 2).reshape(4, 3, 8)
        return fusion.inter_slice(tokens)

    before, after = inter(features), inter(touched)
    torch.testing.assert_close(before[:3], after[:3])
    assert not torch.allclose(before[3, 0], after[3, 0])
    assert not torch.allclose(fusion(features)[0, 0, :, 0, 0], fusion(touched)[0, 0, :, 0, 0])


def test_selective_kernel_is_a_softmax_over_two_branches():
    block = SelectiveKernelConv(8).eval()
    features = torch.randn(2, 8, 6, 6)
    narrow, wide = block.narrow(features), block.wide(features)
    pooled = (narrow + wide).mean(dim=(2, 3), keepdim=True)
    logit = block.select(torch.relu(block.squeeze(pooled)))
    weights = torch.softmax(torch.stack([logit, torch.zeros_like(logit)]), dim=0)
    torch.testing.assert_close(block(features), weights[0] * narrow + weights[1] * wide)


def test_a_single_slice_network_has_no_transformer():
    network = SkUNet(SkUNetConfig(channels=(8, 8, 16), attention_heads=0)).eval()
    stack = torch.rand(1, 4, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(stack)[0, 2], network(stack[:, 2:3])[0, 0], rtol=1e-4, atol=1e-5)


def heart_at(rows, columns, size=(24, 24), frames=1):
    """Heart logits ``[frames, 2, 1, h, w]``: sure of a rectangle in the second slice, and of nothing else."""
    logits = torch.full((frames, 2, 1, *size), -20.0)
    logits[:, 1, :, rows, columns] = 20.0
    return logits


def test_the_box_is_round_the_heart_of_all_slices():
    # 6 x 3 pixels of 24: columns have variance 2/3 pixels, rows 35/12; three deviations of the larger are half a side
    center, half = heart_box(heart_at(slice(4, 10), slice(12, 15)))
    torch.testing.assert_close(center[0, 0, 0], torch.tensor([(13.5 - 12) / 12, (7 - 12) / 12]))
    assert half.item() == pytest.approx(3 * (35 / 12) ** 0.5 / 12, rel=1e-4)


def test_the_box_has_a_smallest_size_and_stays_inside():
    center, half = heart_box(heart_at(slice(0, 1), slice(23, 24)))
    assert half.item() == pytest.approx(0.3)
    torch.testing.assert_close(center[0, 0, 0], torch.tensor([0.7, -0.7]))


def test_without_a_heart_the_box_is_all_of_the_input_in_its_frame_alone():
    logits = heart_at(slice(4, 10), slice(4, 10), frames=2)
    logits[0] = -20
    center, half = heart_box(logits)
    assert half[0].item() == 1 and center[0].abs().max() == 0
    assert half[1].item() < 0.5 and center[1].abs().max() > 0.3


def test_sampling_the_whole_input_changes_nothing_and_a_box_is_enlarged():
    ramp = torch.arange(16.0).expand(1, 2, 3, 8, 16)
    grid = pixel_grid(8, 16, ramp.device)
    torch.testing.assert_close(sample(ramp, grid), ramp)
    # the right half, twice as large: columns from 7.75 on, half a pixel apart
    columns = sample(ramp, torch.tensor([0.5, 0.0]) + 0.5 * grid)[0, 1, 2, 0]
    torch.testing.assert_close(columns[:-1], (7.75 + 0.5 * torch.arange(16))[:-1])


def test_det_seg_puts_logits_back_where_the_box_was_and_background_elsewhere():
    sizes = {"channels": (4, 4, 4), "attention_heads": 0}
    network = DetSeg(DetSegConfig(det=SkUNetConfig(out_channels=1, **sizes), seg=SkUNetConfig(**sizes))).eval()
    # in place of Seg one that answers with the picture it sees, as the RV's logit
    network.seg = PictureAsLogit()
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    picture = (rows + 2 * columns).expand(1, 2, 1, 96, 96) / 100
    logits = network.segment(picture, heart_at(slice(4, 10), slice(10, 16)))
    center, half = heart_box(heart_at(slice(4, 10), slice(10, 16)))
    inside = ((pixel_grid(96, 96, picture.device) - center).abs() <= half - 2 / 96).all(dim=3)[0]
    outside = ((pixel_grid(96, 96, picture.device) - center).abs() > half + 2 / 96).any(dim=3)[0]
    assert 600 < inside.sum() < 4000 and outside.sum() > 4000
    torch.testing.assert_close(logits[:, :, 1, inside], picture[:, :, 0, inside], atol=1e-4, rtol=0)
    assert (logits.argmax(dim=2)[:, :, outside] == 0).all() and (logits[:, :, 1:, outside] == 0).all()


class PictureAsLogit(torch.nn.Module):
    def forward(self, stacks):
        return torch.cat([torch.zeros_like(stacks), stacks, *[torch.zeros_like(stacks)] * 2], dim=2)
