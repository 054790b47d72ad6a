"""Models by name. A variant is a function with literal sizes; a new one is an entry here and nothing else."""

from collections.abc import Callable

from cardiacseg.models.seg_ref import CLASSES, STRUCTURES, SegRef, SegRefConfig
from cardiacseg.models.sk_unet import SkUNetConfig

_MODELS: dict[str, Callable[[], SegRef]] = {}


def register_model(build: Callable[[], SegRef]) -> Callable[[], SegRef]:
    """Make ``build`` available to :func:`create_model` under the function's own name."""
    _MODELS[build.__name__] = build
    return build


def list_models() -> list[str]:
    """Names that :func:`create_model` knows, sorted."""
    return sorted(_MODELS)


def create_model(name: str) -> SegRef:
    """Build a model with fresh weights. Raises ``ValueError`` for a name that is not in :func:`list_models`."""
    if name not in _MODELS:
        raise ValueError(f"unknown model {name!r}; known models: {', '.join(list_models())}")
    return _MODELS[name]()


@register_model
def seg_ref_mt() -> SegRef:
    """The paper's proposed system, in the compact size that ships as the default bundle."""
    return SegRef()


@register_model
def seg_ref_mt_tiny() -> SegRef:
    """The same system in a size for tests and quick trials; not for use on patients' images."""
    sizes = {"channels": (8, 8, 16, 16, 32), "attention_heads": 2}
    return SegRef(
        SegRefConfig(
            locate=SkUNetConfig(out_channels=1, channels=(4, 8, 8, 16), attention_heads=0),
            seg=SkUNetConfig(**sizes),
            ref=SkUNetConfig(in_channels=CLASSES, presence_classes=STRUCTURES, **sizes),
        )
    )
