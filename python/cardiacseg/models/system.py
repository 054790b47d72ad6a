"""Systems of the paper's tables 1 and 2: Seg, with or without Ref after it, and the heart locator. All models by name.

A model is a function with literal sizes; a new one is such a function and nothing else. The rows of the paper's tables
1 and 2 have the same number of blocks and the same convolutions in Seg, and in Ref.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from cardiacseg.models.comparison import DetSeg, DetSegConfig, PlainUNet, PlainUNetConfig
from cardiacseg.models.sk_unet import SkUNet, SkUNetConfig

_NETWORKS = {SkUNetConfig: SkUNet, DetSegConfig: DetSeg, PlainUNetConfig: PlainUNet}


@dataclass(frozen=True)
class SystemConfig:
    """Sizes of the networks. Raises ``ValueError`` if a stage before the last has a presence classifier.

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
    """Outputs of a system for stacks ``[frames, slices, 1, H, W]``; None for parts that it does not have.

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
    """Seg -> softmax -> Ref, if there is a Ref. ``locate`` is a separate network beside them."""

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
        """``stacks`` is ``[frames, slices, 1, H, W]``, normalized, cropped around the heart."""
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


CLASSES = 4
STRUCTURES = 3
LOCATE = SkUNetConfig(out_channels=1, channels=(8, 16, 32, 48), attention_heads=0)

_MODELS: dict[str, Callable[[], SystemConfig]] = {}


def register_model(configure: Callable[[], SystemConfig]) -> Callable[[], SystemConfig]:
    """Make the system that ``configure`` describes available to :func:`create_model` under the function's name."""
    _MODELS[configure.__name__] = configure
    return configure


def list_models() -> list[str]:
    """Names that :func:`create_model` knows, sorted."""
    return sorted(_MODELS)


def create_model(name: str) -> SegmentationSystem:
    """Build a model with fresh weights.

    Raises ``ValueError`` for a name that is not in :func:`list_models` and ``ImportError`` if the library of
    ``nnunet_2d`` is not installed.
    """
    if name not in _MODELS:
        raise ValueError(f"unknown model {name!r}; known models: {', '.join(list_models())}")
    return SegmentationSystem(_MODELS[name]())


def _seg(all_slices: bool, presence_classes: int = 0) -> SkUNetConfig:
    """Seg: SK-UNet, with the transformer over all slices at its bottleneck or without."""
    heads = 6 if all_slices else 0
    return SkUNetConfig(channels=(32, 48, 64, 128, 192), attention_heads=heads, presence_classes=presence_classes)


def _ref(all_slices: bool, presence_classes: int) -> SkUNetConfig:
    """Ref: the same on Seg's probability maps."""
    heads = 4 if all_slices else 0
    return SkUNetConfig(
        in_channels=CLASSES,
        channels=(16, 32, 64, 96, 128),
        attention_heads=heads,
        presence_classes=presence_classes,
    )


@register_model
def sk_unet() -> SystemConfig:
    """SS SK-UNet, also Seg (SS): each slice alone."""
    return SystemConfig(LOCATE, _seg(all_slices=False))


@register_model
def after_unet() -> SystemConfig:
    """AS After-UNet, also Seg (AS): all slices of a stack together."""
    return SystemConfig(LOCATE, _seg(all_slices=True))


@register_model
def det_seg() -> SystemConfig:
    """Two-stage: Det + Seg."""
    return SystemConfig(LOCATE, DetSegConfig(seg=_seg(all_slices=True)))


@register_model
def sk_unet_ref() -> SystemConfig:
    """Seg (SS) + Ref (SS w/o MT)."""
    return SystemConfig(LOCATE, _seg(all_slices=False), _ref(all_slices=False, presence_classes=0))


@register_model
def sk_unet_ref_mt() -> SystemConfig:
    """Seg (SS) + Ref (SS w/ MT)."""
    return SystemConfig(LOCATE, _seg(all_slices=False), _ref(all_slices=False, presence_classes=STRUCTURES))


@register_model
def after_unet_mt() -> SystemConfig:
    """Seg (AS + MT): the classifier uses the features of the image."""
    return SystemConfig(LOCATE, _seg(all_slices=True, presence_classes=STRUCTURES))


@register_model
def seg_ref() -> SystemConfig:
    """Seg (AS) + Ref (AS w/o MT)."""
    return SystemConfig(LOCATE, _seg(all_slices=True), _ref(all_slices=True, presence_classes=0))


@register_model
def seg_ref_mt() -> SystemConfig:
    """Seg (AS) + Ref (AS w/ MT): the paper's proposed system, which ships as the default bundle."""
    return SystemConfig(LOCATE, _seg(all_slices=True), _ref(all_slices=True, presence_classes=STRUCTURES))


@register_model
def nnunet_2d() -> SystemConfig:
    """The 2-D nnU-Net's network; not in the paper."""
    return SystemConfig(LOCATE, PlainUNetConfig())


@register_model
def seg_ref_mt_tiny() -> SystemConfig:
    """The proposed system in a size for tests and quick trials; not for use on patients' images."""
    sizes = {"channels": (8, 8, 16, 16, 32), "attention_heads": 2}
    return SystemConfig(
        locate=SkUNetConfig(out_channels=1, channels=(4, 8, 8, 16), attention_heads=0),
        seg=SkUNetConfig(**sizes),
        ref=SkUNetConfig(in_channels=CLASSES, presence_classes=STRUCTURES, **sizes),
    )
