"""The whole pipeline against another one, written with PyTorch's resampling, ONNX Runtime and SciPy."""

import json

import host_ops
import numpy as np
import onnxruntime
import pytest
import torch
from conftest import SPACING
from scipy import special

from cardiacseg.training.config import Preprocessing
from cardiacseg.training.data import resample_plane
from cardiacseg.training.inference import crop_origin, crop_pad, heart_center, pad_to_multiple


class Reference:
    """One stack at a time, from original pixels to logits on Seg's grid."""

    def __init__(self, bundle):
        rules = json.loads((bundle / "manifest.json").read_text())["preprocessing"]
        locate = rules.pop("locate")
        self.preprocessing = Preprocessing(**rules, locate_spacing_mm=locate["spacing_mm"])
        self.multiple = locate["size_multiple"]
        self.networks = {
            name: onnxruntime.InferenceSession(bundle / f"{name}.onnx", providers=["CPUExecutionProvider"])
            for name in ("locate", "seg", "ref")
        }

    def network(self, name, values):
        session = self.networks[name]
        return session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(values, np.float32)})

    def resampled(self, stack, spacing, target):
        low, high = np.percentile(stack, self.preprocessing.percentiles)
        plane = resample_plane(torch.from_numpy(stack), tuple(mm / target for mm in spacing[1:]))
        return ((plane - low) / (high - low)).clamp(0, 1)

    def origin(self, stack, spacing):
        coarse = self.resampled(stack, spacing, self.preprocessing.locate_spacing_mm)
        height, width = coarse.shape[1:]
        (heart,) = self.network("locate", pad_to_multiple(coarse, self.multiple)[None, :, None])
        window = round(
            self.preprocessing.crop_pixels * self.preprocessing.spacing_mm / self.preprocessing.locate_spacing_mm
        )
        return crop_origin(heart_center(heart[0, :, 0, :height, :width], window), self.preprocessing)

    def run(self, stack, spacing):
        origin = self.origin(stack, spacing)
        fine = self.resampled(stack, spacing, self.preprocessing.spacing_mm)
        crop = crop_pad(fine, origin, self.preprocessing.crop_pixels)
        (seg_logits,) = self.network("seg", crop[None, :, None])
        ref_logits, presence = self.network("ref", seg_logits)
        return origin, ref_logits[0], presence[0]


@pytest.mark.parametrize("spacing", [SPACING, (10.0, 2.4, 1.9), (6.0, 0.9, 1.3)])
def test_the_core_is_the_reference(segmenter, tiny_bundle, cine, spacing):
    reference = Reference(tiny_bundle)
    result = segmenter.run(cine, spacing=spacing, probabilities=True)
    for frame, stack in enumerate(cine):
        origin, logits, presence = reference.run(stack, spacing)
        np.testing.assert_allclose(result.presence[frame], presence, atol=1e-3)
        grid = stack.shape[1:], spacing[1:], reference.preprocessing.spacing_mm, origin
        labels, probabilities = host_ops.mask_fusion(logits, presence, 0.5, *grid, probabilities=True)
        assert (labels == result.labels[frame]).mean() > 0.999
        assert np.abs(probabilities - result.probabilities[frame]).mean() < 1e-3
        assert np.ptp(special.softmax(logits, axis=1)[:, 1]) > 0.5
