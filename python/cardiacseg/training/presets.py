"""Named training configurations; single values are changed with ``dataclasses.replace``."""

from collections.abc import Callable

from cardiacseg.training.config import Augmentation, LossWeights, Preprocessing, TrainingConfig


def default() -> TrainingConfig:
    """What gives the best model here. It can be lengthened: see :mod:`cardiacseg.training.schedule`."""
    return TrainingConfig()


def paper() -> TrainingConfig:
    """Section 3.1: Adam at a constant 1e-4 for 200 epochs, pixels of 1.3 mm, lambda 0.1, cross-entropy alone, and
    random rotation, shift, flip and crop. Where the paper gives no number (ranges, field of view, stacks in a step)
    one was chosen; the locator, which the paper does not have, is trained beside as in the default."""
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
    """A short run at a small learning rate, to start from given weights on one's own data."""
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
