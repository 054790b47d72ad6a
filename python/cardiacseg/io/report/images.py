"""The cine's pictures inside a page: one sheet of tiles for each slice, a tile for each phase.

Around the heart every pixel is kept, as PNG; the whole field of view is smaller, as JPEG. A cine of 25 phases and 10
slices takes about 4 MB.
"""

import base64
import io
import math
from dataclasses import asdict, dataclass

import numpy as np

from cardiacseg.io.report.preview import heart_window

# Longest side of a tile in pixels; larger pictures are reduced.
_HEART_PIXELS, _FIELD_PIXELS = 192, 160
_JPEG_QUALITY = 75
_WINDOW_PERCENTILES = (0.5, 99.5)
_SAMPLE = 1_000_000


@dataclass(frozen=True)
class Box:
    """Part of a slice: half-open ranges of rows and columns."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Sheets:
    """Positions of the tiles in the patient's slice (mm from the image's corner) and in the sheet, and a URL per
    slice."""

    left: float
    top: float
    width: float
    height: float
    tile_width: int
    tile_height: int
    columns: int
    urls: list[str]


def heart_box(labels: np.ndarray, spacing: tuple[float, float, float]) -> Box:
    """Whole pixels around all labels ``[T, S, H, W]`` with a margin; the whole slice if there are none."""
    _, row_mm, column_mm = spacing
    left, right, bottom, top = heart_window(labels, spacing)
    rows, columns = labels.shape[2:]
    return Box(
        top=max(0, math.floor(top / row_mm)),
        bottom=min(rows, math.ceil(bottom / row_mm)),
        left=max(0, math.floor(left / column_mm)),
        right=min(columns, math.ceil(right / column_mm)),
    )


def grey_window(image: np.ndarray, box: Box) -> tuple[float, float]:
    """Grey values shown as black and as white, the same in all slices and phases: percentiles inside ``box``."""
    part = image[:, :, box.top : box.bottom, box.left : box.right]
    sample = part.ravel()[:: max(1, part.size // _SAMPLE)].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, _WINDOW_PERCENTILES))
    return low, max(high, math.nextafter(low, math.inf))


def as_bytes(image: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Windowed to uint8; NaN is black."""
    low, high = window
    pixels = np.nan_to_num(image.astype(np.float64), nan=low)
    return np.rint((np.clip(pixels, low, high) - low) / (high - low) * 255).astype(np.uint8)


def heart_sheets(
    image: np.ndarray, box: Box, spacing: tuple[float, float, float], window: tuple[float, float]
) -> Sheets:
    """The part of ``image`` ``[T, S, H, W]`` in ``box``, without loss up to 192 pixels a side."""
    return _sheets(image, box, spacing, window, _HEART_PIXELS, "PNG")


def field_sheets(image: np.ndarray, spacing: tuple[float, float, float], window: tuple[float, float]) -> Sheets:
    """The whole field of view, smaller."""
    whole = Box(0, image.shape[2], 0, image.shape[3])
    return _sheets(image, whole, spacing, window, _FIELD_PIXELS, "JPEG")


def sheets_document(sheets: Sheets) -> dict:
    """JSON-ready."""
    return asdict(sheets)


def _sheets(image, box, spacing, window, longest: int, kind: str) -> Sheets:
    _, row_mm, column_mm = spacing
    height, width = box.bottom - box.top, box.right - box.left
    shrink = min(1.0, longest / max(height, width))
    tile = max(1, round(height * shrink)), max(1, round(width * shrink))
    columns = math.ceil(math.sqrt(len(image)))
    parts = (image[:, index, box.top : box.bottom, box.left : box.right] for index in range(image.shape[1]))
    urls = [_url(_sheet([_resized(frame, tile) for frame in as_bytes(part, window)], columns), kind) for part in parts]
    place = box.left * column_mm, box.top * row_mm, width * column_mm, height * row_mm
    return Sheets(*place, tile_width=tile[1], tile_height=tile[0], columns=columns, urls=urls)


def _resized(frame: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    if frame.shape == tile:
        return frame
    return np.asarray(Image.fromarray(frame).resize(tile[::-1], Image.Resampling.BOX))


def _sheet(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    """Tiles row by row; the rest of the sheet is black."""
    height, width = tiles[0].shape
    sheet = np.zeros((math.ceil(len(tiles) / columns) * height, columns * width), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _url(sheet: np.ndarray, kind: str) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, kind, **({"quality": _JPEG_QUALITY} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
