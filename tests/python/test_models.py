"""Every registered model: forward, backward, any number of slices, frames that never see each other."""

import pytest
import torch

from cardiacseg.models import SegRefConfig, SkUNet, SkUNetConfig, create_model, list_models
from cardiacseg.models.blocks import SelectiveKernelConv
from cardiacseg.models.slice_transformer import Attention, SliceFusionTransformer


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", list_models())
def test_forward_and_backward_reach_every_weight(name):
    model = create_model(name)
    output = model(torch.rand(2, 3, 1, 32, 48))
    assert output.seg_logits.shape == output.ref_logits.shape == (2, 3, 4, 32, 48)
    assert output.presence_logits.shape == (2, 3, 3)
    heart = model.locate(torch.rand(1, 2, 1, 16, 24))
    assert heart.shape == (1, 2, 1, 16, 24)
    (output.seg_logits.sum() + output.ref_logits.sum() + output.presence_logits.sum() + heart.sum()).backward()
    without = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.isfinite().all()]
    assert without == []


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


def test_configuration_survives_json():
    import json

    config = SegRefConfig()
    assert SegRefConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
