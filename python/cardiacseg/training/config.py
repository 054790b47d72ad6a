"""Everything a training run is decided by. A run is a pure function of this and of the data."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Preprocessing:
    """How a stack becomes the networks' input; an exported bundle's manifest repeats these numbers.

    ``spacing_mm`` and ``crop_pixels`` are Seg's and Ref's in-plane pixel size and square crop round the heart,
    ``locate_spacing_mm`` is the coarse pixel size at which the heart is looked for. Intensities between the two
    percentiles of a stack become 0 to 1, what lies outside is clipped.
    """

    spacing_mm: float = 1.5
    crop_pixels: int = 144
    locate_spacing_mm: float = 4.0
    percentiles: tuple[float, float] = (1.0, 99.0)


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; each is drawn anew for every stack of every step."""

    rotation_degrees: float = 30.0
    quarter_turn_probability: float = 0.5
    scale: tuple[float, float] = (0.75, 1.3)
    shift_mm: float = 18.0
    slice_shift_mm: float = 1.5
    gamma: tuple[float, float] = (0.6, 1.6)
    intensity_offset: float = 0.12
    intensity_gain: tuple[float, float] = (0.75, 1.35)
    bias_field: float = 0.35
    noise: float = 0.05
    blur_probability: float = 0.15


@dataclass(frozen=True)
class LossWeights:
    """Section 2.4 with ``dice`` 0; ``presence`` is the paper's lambda."""

    presence: float = 0.1
    dice: float = 1.0
    locate: float = 0.5


@dataclass(frozen=True)
class TrainingConfig:
    """One run. The first ``coarse_steps`` steps train on the same field of view at ``coarse_factor`` of its size.

    ``phantoms`` synthetic hearts, three frames of each, are mixed into the training stacks.
    """

    model: str = "seg_ref_mt"
    steps: int = 3600
    coarse_steps: int = 2400
    coarse_factor: float = 2 / 3
    stacks_per_step: int = 2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    average_decay: float = 0.998
    gradient_norm: float = 1.0
    validate_every: int = 200
    phantoms: int = 0
    seed: int = 0
    precision: str = "auto"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossWeights = field(default_factory=LossWeights)

    def to_dict(self) -> dict:
        """The configuration as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "TrainingConfig":
        """Rebuild a configuration that :meth:`to_dict` wrote, also after a trip through JSON."""

        def tuples(part: dict) -> dict:
            return {key: tuple(value) if isinstance(value, list) else value for key, value in part.items()}

        return cls(
            **{
                **values,
                "preprocessing": Preprocessing(**tuples(values["preprocessing"])),
                "augmentation": Augmentation(**tuples(values["augmentation"])),
                "loss": LossWeights(**values["loss"]),
            }
        )
