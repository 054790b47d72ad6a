"""The networks: plain ``torch.nn.Module`` classes and a registry that makes them by name."""

from cardiacseg.models.registry import create_model, list_models
from cardiacseg.models.seg_ref import SegRef, SegRefConfig
from cardiacseg.models.sk_unet import SkUNet, SkUNetConfig

__all__ = ["SegRef", "SegRefConfig", "SkUNet", "SkUNetConfig", "create_model", "list_models"]
