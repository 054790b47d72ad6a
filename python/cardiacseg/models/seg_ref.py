"""The two-stage network of the paper: Seg on the image, Ref on Seg's probability maps, and a small heart locator."""

from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from cardiacseg.models.sk_unet import SkUNet, SkUNetConfig

CLASSES = 4
STRUCTURES = 3


@dataclass(frozen=True)
class SegRefConfig:
    """Sizes of the three networks. ``locate`` finds the heart in a coarse, whole field of view."""

    locate: SkUNetConfig = field(
        default_factory=lambda: SkUNetConfig(out_channels=1, channels=(8, 16, 32, 48), attention_heads=0)
    )
    seg: SkUNetConfig = field(default_factory=lambda: SkUNetConfig(channels=(32, 48, 64, 128, 192)))
    ref: SkUNetConfig = field(
        default_factory=lambda: SkUNetConfig(
            in_channels=CLASSES, channels=(16, 32, 64, 96, 128), attention_heads=4, presence_classes=STRUCTURES
        )
    )

    def to_dict(self) -> dict:
        """The configuration as JSON-ready values; :meth:`from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "SegRefConfig":
        """Rebuild a configuration that :meth:`to_dict` wrote."""
        return cls(
            **{
                stage: SkUNetConfig(**{**sizes, "channels": tuple(sizes["channels"])})
                for stage, sizes in values.items()
            }
        )


class SegRefOutput(NamedTuple):
    """Logits of both stages ``[frames, slices, 4, H, W]`` and presence logits ``[frames, slices, 3]``."""

    seg_logits: torch.Tensor
    ref_logits: torch.Tensor
    presence_logits: torch.Tensor


class SegRef(nn.Module):
    """Seg -> softmax -> Ref with its presence classifier. ``locate`` is a network of its own beside them."""

    def __init__(self, config: SegRefConfig | None = None):
        super().__init__()
        self.config = config or SegRefConfig()
        self.locate = SkUNet(self.config.locate)
        self.seg = SkUNet(self.config.seg)
        self.ref = SkUNet(self.config.ref)

    def forward(self, stacks: torch.Tensor) -> SegRefOutput:
        """``stacks`` is ``[frames, slices, 1, H, W]``, normalised, the heart inside."""
        seg_logits = self.seg(stacks)
        ref_logits, presence_logits = self.ref(torch.softmax(seg_logits.float(), dim=2))
        return SegRefOutput(seg_logits, ref_logits, presence_logits)
