"""Models by name. A variant is a function with literal sizes; a new one is an entry here and nothing else.

The rows of the paper's tables 1 and 2 have the same number of blocks and the same convolutions in Seg, and in Ref.
"""

from collections.abc import Callable

from cardiacseg.models.det_seg import DetSegConfig
from cardiacseg.models.plain_unet import PlainUNetConfig
from cardiacseg.models.sk_unet import SkUNetConfig
from cardiacseg.models.system import SegmentationSystem, SystemConfig

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

    Raises ``ValueError`` for a name that is not in :func:`list_models` and ``ImportError`` where ``nnunet_2d`` lacks
    its library.
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
    """Seg (AS + MT): the classifier looks at the image's features."""
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
