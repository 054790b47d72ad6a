_Extent = tuple[int, int]
_Taps = tuple[int, int, int, int, int]

def inter_slice_attention(
    type: str,
    qkv: int,
    cu_slices: int,
    stacks: int,
    slices: int,
    positions: int,
    channels: int,
    heads: int,
    output: int,
    stream: int,
) -> None: ...
def intra_slice_attention(
    type: str, qkv: int, slices: int, positions: int, channels: int, heads: int, output: int, stream: int
) -> None: ...
def mask_fusion(
    type: str,
    logits: int,
    presence: int,
    origins: int,
    stacks_and_slices: _Extent,
    crop: _Extent,
    size: _Extent,
    spacing: tuple[float, float],
    target: float,
    threshold: float,
    temperature: float,
    labels: int,
    probabilities: int,
    counts: int,
    stream: int,
) -> None: ...
def percentile_range_workspace(type: str, stacks: int, voxels: int) -> int: ...
def percentile_range(
    type: str,
    pixels: int,
    shape: tuple[int, int, int, int],
    lower: float,
    upper: float,
    workspace: int,
    ranges: int,
    stream: int,
) -> None: ...
def resample_taps(length: int, spacing: float, target: float) -> tuple[int, list[int], list[int], list[float]]: ...
def preprocess(
    type: str,
    pixels: int,
    shape: tuple[int, int, int, int],
    rows: _Taps,
    columns: _Taps,
    crop: _Extent,
    ranges: int,
    origins: int,
    output_type: str,
    output: int,
    stream: int,
) -> None: ...
