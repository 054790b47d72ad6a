"""Configuration of a training run, and named presets. A run is a pure function of its configuration and its data."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace


@dataclass(frozen=True)
class Preprocessing:
    """How a stack becomes the networks' input; an exported bundle's manifest repeats these numbers.

    ``spacing_mm`` and ``crop_pixels`` are Seg's and Ref's in-plane pixel size and square crop around the heart,
    ``locate_spacing_mm`` is the coarse pixel size for heart localization. Intensities between the two percentiles of a
    stack become 0 to 1; others are clipped.
    """

    spacing_mm: float = 1.5
    crop_pixels: int = 128
    locate_spacing_mm: float = 4.0
    percentiles: tuple[float, float] = (1.0, 99.0)


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes, which are drawn for every stack of every step.

    ``flip_probability`` is for each of the two axes. With ``slice_drop_probability``, drawn once for a step, all its
    stacks lose slices, at the ends or anywhere, and keep at least three. ``bias_field`` is the standard deviation of
    the field's logarithm, ``noise`` a fraction of the range of intensities; they and gamma cover other scanners.
    """

    rotation_degrees: float = 30.0
    quarter_turn_probability: float = 0.4
    flip_probability: float = 0.15
    scale: tuple[float, float] = (0.75, 1.3)
    shift_mm: float = 12.0
    slice_shift_mm: float = 1.5
    gamma: tuple[float, float] = (0.6, 1.6)
    intensity_offset: float = 0.12
    intensity_gain: tuple[float, float] = (0.75, 1.35)
    bias_field: float = 0.35
    noise: float = 0.08
    blur_probability: float = 0.15
    slice_drop_probability: float = 0.2


@dataclass(frozen=True)
class LossWeights:
    """Section 2.4 with ``dice`` 0; ``presence`` is the paper's lambda. ``teacher`` is used if there are teachers."""

    presence: float = 0.3
    dice: float = 1.0
    locate: float = 0.5
    teacher: float = 1.0


@dataclass(frozen=True)
class TrainingConfig:
    """One run; without arguments the default preset. Raises ``ValueError`` for lengths and counts out of range.

    ``epochs`` (one epoch: all training stacks once on average) or ``minutes`` by the clock give the length instead of
    ``steps``. The learning rate rises for ``warmup_steps``, stays, and falls to 0 over the last ``cooldown_steps``, or
    over the last ``cooldown_fraction`` of the ``minutes``. The optimizer is AdamW, which with ``weight_decay`` 0 is
    Adam. ``gradient_norm`` None does not clip. The first ``coarse_steps`` steps train on the same field of view at
    ``coarse_factor`` of its size. ``phantoms`` synthetic hearts, three frames of each, join the training stacks.
    ``stacks_per_step`` counts the stacks of all processes together. ``initial_weights`` is the digest of the weights
    that the run starts from, empty for random ones, ``teachers`` those of the models that it learns from beside the
    labels.
    """

    model: str = "seg_ref_mt"
    steps: int = 6000
    epochs: float | None = None
    minutes: float | None = None
    coarse_steps: int = 0
    coarse_factor: float = 2 / 3
    stacks_per_step: int = 2
    learning_rate: float = 1.2e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 50
    cooldown_steps: int = 600
    cooldown_fraction: float = 0.4
    average_decay: float = 0.998
    gradient_norm: float | None = 1.0
    validate_every: int = 200
    phantoms: int = 4
    seed: int = 0
    precision: str = "auto"
    initial_weights: str = ""
    teachers: tuple[str, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self):
        for name in ("steps", "stacks_per_step", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("epochs", "minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value}")
        if None not in (self.epochs, self.minutes):
            raise ValueError("expected epochs or minutes, got both")
        if not 0 <= self.cooldown_fraction <= 1:
            raise ValueError(f"cooldown_fraction must lie between 0 and 1, got {self.cooldown_fraction}")

    def for_stacks(self, count: int) -> "TrainingConfig":
        """The same run with its length in steps, for ``count`` training stacks."""
        if self.epochs is None:
            return self
        return replace(self, steps=math.ceil(self.epochs * count / self.stacks_per_step), epochs=None)

    def to_dict(self) -> dict:
        """The configuration as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "TrainingConfig":
        """Rebuild a configuration that :meth:`to_dict` wrote, also after a trip through JSON.

        Fields that an older version did not write have their defaults. Raises ``ValueError`` for an unknown field.
        """

        def tuples(part: dict) -> dict:
            return {key: tuple(value) if isinstance(value, list) else value for key, value in part.items()}

        try:
            return cls(
                **{
                    **tuples(values),
                    "preprocessing": Preprocessing(**tuples(values["preprocessing"])),
                    "augmentation": Augmentation(**tuples(values["augmentation"])),
                    "loss": LossWeights(**values["loss"]),
                }
            )
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a training configuration of this version: {error}") from error


def differences(ours, theirs) -> dict[str, tuple]:
    """Fields that differ between two configurations, nested ones as ``outer.inner``, with both values."""
    found: dict[str, tuple] = {}
    for entry in fields(ours):
        pair = getattr(ours, entry.name), getattr(theirs, entry.name)
        if is_dataclass(pair[0]):
            found.update({f"{entry.name}.{inner}": values for inner, values in differences(*pair).items()})
        elif pair[0] != pair[1]:
            found[entry.name] = pair
    return found


def default() -> TrainingConfig:
    """The best model so far. The run can be lengthened: see :mod:`cardiacseg.training.schedule`."""
    return TrainingConfig()


def paper() -> TrainingConfig:
    """Section 3.1: Adam at a constant 1e-4 for 200 epochs, pixels of 1.3 mm, lambda 0.1, cross-entropy alone, and
    random rotation, shift, flip and crop. If the paper gives no number (ranges, field of view, stacks in a step),
    one was chosen. The locator, which the paper does not have, is trained as in the default."""
    return TrainingConfig(
        epochs=200,
        learning_rate=1e-4,
        weight_decay=0.0,
        warmup_steps=0,
        cooldown_steps=0,
        cooldown_fraction=0.0,
        average_decay=0.0,
        gradient_norm=None,
        validate_every=350,
        phantoms=0,
        preprocessing=Preprocessing(spacing_mm=1.3, crop_pixels=160),
        loss=LossWeights(presence=0.1, dice=0.0),
        augmentation=Augmentation(
            quarter_turn_probability=0.0,
            flip_probability=0.5,
            scale=(1.0, 1.0),
            slice_shift_mm=0.0,
            gamma=(1.0, 1.0),
            intensity_offset=0.0,
            intensity_gain=(1.0, 1.0),
            bias_field=0.0,
            noise=0.0,
            blur_probability=0.0,
            slice_drop_probability=0.0,
        ),
    )


def finetune() -> TrainingConfig:
    """A short run at a small learning rate: fine-tuning of given weights on other data."""
    return TrainingConfig(
        steps=400,
        learning_rate=2e-4,
        warmup_steps=50,
        cooldown_steps=200,
        average_decay=0.99,
        validate_every=50,
        phantoms=0,
    )


PRESETS: dict[str, Callable[[], TrainingConfig]] = {"default": default, "paper": paper, "finetune": finetune}
