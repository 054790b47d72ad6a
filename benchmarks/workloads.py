"""The measured cases: sizes of each kernel's input, and the least bytes and FLOPs that they need.

Bytes: each input that is needed read once, each output written once. FLOPs of attention: two for each multiply-add of
both matrix products, nothing for the softmax. FLOPs of the others are nominal, counted from their contracts.
"""

import math
from dataclasses import dataclass

ELEMENT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2, "uint8": 1}

# Per pixel of the crop: 3 comparisons, 4 divisions by the temperature, 4 subtractions, 4 exponentials, 3 additions and
# 4 divisions. Per voxel that the crop covers: 4 classes times 4 multiplications and 3 additions, then 3 comparisons.
FUSION_FLOPS_PER_PIXEL = 22
FUSION_FLOPS_PER_VOXEL = 31


@dataclass(frozen=True)
class AttentionWorkload:
    """Rows of ``qkv [T, 3 * channels]``: row ``(stack * slices + slice) * positions + position``."""

    across: str  # "slices": inter-slice; "positions": intra-slice
    stacks: int
    slices: int
    positions: int
    channels: int
    heads: int
    dtype: str

    def __post_init__(self):
        if self.across not in ("slices", "positions"):
            raise ValueError(f'across: expected "slices" or "positions", got {self.across!r}')
        if self.channels % self.heads:
            raise ValueError(f"channels must be a multiple of heads, got {self.channels} and {self.heads}")

    @property
    def tokens(self) -> int:
        return self.stacks * self.slices * self.positions

    @property
    def bytes(self) -> int:
        """q, k, v and the output once each, and the stacks' first slices."""
        return 4 * self.tokens * self.channels * ELEMENT_BYTES[self.dtype] + 4 * (self.stacks + 1)

    @property
    def flops(self) -> int:
        """4 * C for each pair of tokens that meet: QK^T and PV are 2 * C each."""
        keys = self.slices if self.across == "slices" else self.positions
        return 4 * self.channels * self.tokens * keys

    @property
    def name(self) -> str:
        kind = "inter" if self.across == "slices" else "intra"
        sizes = f"HW {self.positions}, C {self.channels}/{self.heads}"
        return f"{kind} {self.stacks}x{self.slices} slices, {sizes}, {self.dtype}"


@dataclass(frozen=True)
class ImageWorkload:
    """Stacks on the scanner's grid and the network's crop in the middle of it."""

    kernel: str  # "fusion", "percentiles" or "preprocessing"
    stacks: int
    dtype: str  # of the network's side: logits or input
    slices: int = 10
    rows: int = 208
    columns: int = 224
    row_spacing: float = 1.4
    column_spacing: float = 1.5
    target: float = 1.5
    crop: int = 128
    source: str = "int16"  # of the scanner's pixels

    @property
    def planes(self) -> int:
        return self.stacks * self.slices

    @property
    def voxels(self) -> int:
        return self.planes * self.rows * self.columns

    @property
    def pixels(self) -> int:
        """Of the crops."""
        return self.planes * self.crop**2

    @property
    def origin(self) -> tuple[int, int]:
        """The crop's first pixel on the network's whole grid."""
        return tuple((length - self.crop) // 2 for length in self.network_grid)

    @property
    def network_grid(self) -> tuple[int, int]:
        return (
            max(1, math.floor(self.rows * self.row_spacing / self.target + 0.5)),
            max(1, math.floor(self.columns * self.column_spacing / self.target + 0.5)),
        )

    @property
    def covered(self) -> int:
        """Voxels of the scanner's grid that the crops cover, by area."""
        share_of_rows = min(1.0, self.crop * self.target / (self.rows * self.row_spacing))
        share_of_columns = min(1.0, self.crop * self.target / (self.columns * self.column_spacing))
        return round(self.voxels * share_of_rows * share_of_columns)

    @property
    def bytes(self) -> int:
        network, scanner = ELEMENT_BYTES[self.dtype], ELEMENT_BYTES[self.source]
        if self.kernel == "fusion":
            return 4 * self.pixels * network + 12 * self.planes + self.voxels
        if self.kernel == "percentiles":
            return self.voxels * scanner + 8 * self.stacks
        return self.covered * scanner + self.pixels * network + 8 * self.stacks

    @property
    def flops(self) -> int:
        if self.kernel == "fusion":
            return FUSION_FLOPS_PER_PIXEL * self.pixels + FUSION_FLOPS_PER_VOXEL * self.covered
        if self.kernel == "percentiles":
            return 0  # counts, no arithmetic on the values
        # Two taps an axis if nothing shrinks: 4 multiply-adds a pixel, then subtract, multiply and two comparisons.
        down, across = (2 * max(1.0, self.target / mm) for mm in (self.row_spacing, self.column_spacing))
        return round(self.pixels * (2 * down * across + 4))

    @property
    def name(self) -> str:
        kinds = f"{self.source} to " if self.kernel == "preprocessing" else ""
        kinds += self.source if self.kernel == "percentiles" else self.dtype
        return f"{self.kernel} {self.stacks}x{self.slices}x{self.rows}x{self.columns}, crop {self.crop}, {kinds}"


def attention_workloads(across: str) -> list[AttentionWorkload]:
    """The shipped Seg (192/6) and Ref (128/4), and 256/8; one stack and a cine of 25; crops of 192 and 128 pixels."""
    return [
        AttentionWorkload(across, stacks, 10, positions, channels, heads, dtype)
        for channels, heads in ((192, 6), (128, 4), (256, 8))
        for dtype in ("float16", "bfloat16", "float32")
        for positions in (144, 64)
        for stacks in (1, 25)
    ]


def image_workloads(kernel: str) -> list[ImageWorkload]:
    dtypes = ("float32",) if kernel == "percentiles" else ("float16", "float32")
    return [ImageWorkload(kernel, stacks, dtype) for dtype in dtypes for stacks in (1, 25)]
