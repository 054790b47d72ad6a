"""Tiny labelled stacks and a tiny run for the tests of training."""

import json

import nibabel
import numpy as np

from cardiacseg.training.config import Preprocessing, TrainingConfig
from cardiacseg.training.data import prepare_stack

SMALL = Preprocessing(spacing_mm=2.0, crop_pixels=32, locate_spacing_mm=4.0)
CONFIG = TrainingConfig(
    model="seg_ref_mt_tiny",
    steps=4,
    coarse_steps=2,
    coarse_factor=0.5,
    validate_every=2,
    warmup_steps=2,
    cooldown_steps=1,
    precision="fp32",
    preprocessing=SMALL,
)


def ring(slices, center=(24, 30)):
    """A bright disc in a dark ring beside a bright blob, on noise: image and labels [S, 48, 56]."""
    rows, columns = np.mgrid[:48, :56]
    radius = np.hypot(rows - center[0], columns - center[1])
    labels = np.where(radius < 5, 3, np.where(radius < 9, 2, 0))
    labels[np.hypot(rows - center[0], columns - center[1] + 13) < 5] = 1
    labels = np.repeat(labels[None].astype(np.uint8), slices, axis=0)
    noise = np.random.default_rng(0).normal(0, 5, labels.shape)
    return (np.choose(labels, [60, 200, 90, 210]) + noise).astype(np.float32), labels


def ring_stacks(counts=(3, 4, 5)):
    """One prepared stack for each number of slices."""
    return [prepare_stack(f"case{n}", *ring(n, (20 + n, 30)), (2.0, 2.0), SMALL) for n in counts]


def write_acdc(folder, patients=3):
    """Files of ``patients`` in ACDC's layout, the last one to validate on."""
    names = [f"patient{number:03d}" for number in range(1, patients + 1)]
    for name in names:
        (folder / "training" / name).mkdir(parents=True)
        for suffix, array in zip(("", "_gt"), ring(3), strict=True):
            file = nibabel.Nifti1Image(array.T, np.diag([-1.5, -2.0, 8.0, 1.0]))
            nibabel.save(file, folder / "training" / name / f"{name}_frame01{suffix}.nii.gz")
    (folder / "splits.json").write_text(json.dumps({"train": names[:-1], "val": names[-1:]}))
    return folder
