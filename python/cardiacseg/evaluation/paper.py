"""The paper's figures: Dice by slice level of each of its systems.

Source: Chen et al., "Enhancing Cardiac MRI Segmentation via Classifier-Guided Two-Stage Network and All-Slice
Information Fusion Transformer", 2023, tables 1 and 2. Its data were 198 test stacks of a private set and ACDC.
"""

from typing import NamedTuple

NOTE = "The paper's data were others (a private set and ACDC, split otherwise): its figures are for scale."


class PaperRow(NamedTuple):
    """A row: its name in the paper, and Dice of RV, MYO, LV and their average at each level."""

    name: str
    base: tuple[float, float, float, float]
    mid: tuple[float, float, float, float]
    apex: tuple[float, float, float, float]


# model of the registry -> row
ROWS = {
    "sk_unet": PaperRow(
        "SS SK-UNet, Seg (SS)",
        (0.909, 0.847, 0.939, 0.898),
        (0.927, 0.896, 0.950, 0.924),
        (0.800, 0.807, 0.917, 0.842),
    ),
    "after_unet": PaperRow(
        "AS After-UNet, Seg (AS)",
        (0.899, 0.838, 0.947, 0.895),
        (0.932, 0.904, 0.953, 0.930),
        (0.830, 0.810, 0.914, 0.852),
    ),
    "det_seg": PaperRow(
        "Two-stage: Det + Seg",
        (0.907, 0.843, 0.940, 0.897),
        (0.931, 0.903, 0.953, 0.929),
        (0.789, 0.820, 0.922, 0.844),
    ),
    "sk_unet_ref": PaperRow(
        "Seg (SS) + Ref (SS w/o MT)",
        (0.915, 0.849, 0.941, 0.902),
        (0.929, 0.898, 0.949, 0.925),
        (0.799, 0.811, 0.915, 0.842),
    ),
    "sk_unet_ref_mt": PaperRow(
        "Seg (SS) + Ref (SS w/ MT)",
        (0.914, 0.856, 0.952, 0.907),
        (0.928, 0.897, 0.950, 0.925),
        (0.795, 0.810, 0.916, 0.840),
    ),
    "after_unet_mt": PaperRow(
        "Seg (AS + MT)",
        (0.893, 0.839, 0.945, 0.892),
        (0.931, 0.905, 0.953, 0.930),
        (0.809, 0.817, 0.916, 0.847),
    ),
    "seg_ref": PaperRow(
        "Seg (AS) + Ref (AS w/o MT)",
        (0.914, 0.848, 0.952, 0.905),
        (0.932, 0.904, 0.953, 0.930),
        (0.834, 0.813, 0.911, 0.853),
    ),
    "seg_ref_mt": PaperRow(
        "Proposed, Seg (AS) + Ref (AS w/ MT)",
        (0.920, 0.848, 0.955, 0.908),
        (0.932, 0.902, 0.953, 0.929),
        (0.836, 0.810, 0.911, 0.852),
    ),
}
