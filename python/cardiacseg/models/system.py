"""The systems of the paper's tables 1 and 2: Seg, with or without Ref after it, and the heart locator beside them."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from cardiacseg.models.det_seg import DetSeg, DetSegConfig
from cardiacseg.models.plain_unet import PlainUNet, PlainUNetConfig
from cardiacseg.models.sk_unet import SkUNet, SkUNetConfig

_NETWORKS = {SkUNetConfig: SkUNet, DetSegConfig: DetSeg, PlainUNetConfig: PlainUNet}


@dataclass(frozen=True)
class SystemConfig:
    """Sizes of the networks. Raises ``ValueError`` where a stage before the last has a presence classifier.

    ``locate`` finds the heart in a coarse, whole field of view; it is preprocessing and the same in every row, so
    that all systems see the same field of view. ``ref`` is None in single-stage systems.
    """

    locate: SkUNetConfig
    seg: SkUNetConfig | DetSegConfig | PlainUNetConfig
    ref: SkUNetConfig | None = None

    def __post_init__(self):
        if self.ref is not None and self.seg.presence_classes:
            raise ValueError("the presence classifier must be on the last stage, got one on Seg, with Ref after it")

    def contains(self, other: "SystemConfig") -> bool:
        """Whether ``other`` is this system, or this one without Ref or without Ref's classifier."""
        refs = [None, self.ref, self.ref and replace(self.ref, presence_classes=0)]
        return (other.locate, other.seg) == (self.locate, self.seg) and other.ref in refs


class SystemOutput(NamedTuple):
    """What a system gives for stacks ``[frames, slices, 1, H, W]``; None where it lacks that part.

    Class logits of Seg and of Ref are ``[frames, slices, 4, H, W]``; the last stage's presence logits are
    ``[frames, slices, 3]`` (RV, MYO, LV); the detector's heart logits are ``[frames, slices, 1, H/4, W/4]``.
    """

    seg_logits: torch.Tensor
    ref_logits: torch.Tensor | None = None
    presence_logits: torch.Tensor | None = None
    heart_logits: torch.Tensor | None = None

    @property
    def logits(self) -> torch.Tensor:
        """Class logits of the last stage, the one that the presence gate acts on."""
        return self.seg_logits if self.ref_logits is None else self.ref_logits


class SegmentationSystem(nn.Module):
    """Seg -> softmax -> Ref, where there is a Ref. ``locate`` is a network of its own beside them."""

    def __init__(self, config: SystemConfig):
        super().__init__()
        self.config = config
        self.locate = SkUNet(config.locate)
        self.seg = _NETWORKS[type(config.seg)](config.seg)
        self.ref = SkUNet(config.ref) if config.ref else None

    @property
    def stride(self) -> int:
        """Height and width of the stacks must be multiples of this: of Seg's stride and of Ref's."""
        return math.lcm(self.seg.stride, self.ref.stride if self.ref else 1)

    def forward(self, stacks: torch.Tensor) -> SystemOutput:
        """``stacks`` is ``[frames, slices, 1, H, W]``, normalized, the heart inside."""
        if isinstance(self.seg, DetSeg):
            heart_logits = self.seg.detect(stacks)
            seg_logits, presence_logits = self.seg.segment(stacks, heart_logits), None
        else:
            heart_logits = None
            seg_logits, presence_logits = _pair(self.seg(stacks))
        if self.ref is None:
            return SystemOutput(seg_logits, None, presence_logits, heart_logits)
        ref_logits, presence_logits = _pair(self.ref(torch.softmax(seg_logits.float(), dim=2)))
        return SystemOutput(seg_logits, ref_logits, presence_logits, heart_logits)


def _pair(output: torch.Tensor | tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
    return output if isinstance(output, tuple) else (output, None)
