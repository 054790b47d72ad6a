"""From stored pixels to grey values: padding, MONOCHROME1, a grey palette and the modality transform."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut

from cardiacseg.io.dicom.stored_bits import Field, StoredBits
from cardiacseg.io.dicom.values import first_item, item_at, items, number, text


def is_inverted(dataset: Dataset) -> bool:
    return text(dataset, "PhotometricInterpretation") == "MONOCHROME1"


def is_lossy(dataset: Dataset) -> bool:
    return text(dataset, "LossyImageCompression") == "01"


def inverted(values: np.ndarray, bits: Field | StoredBits) -> np.ndarray:
    """Bright where ``values`` were dark; integers stay within what the bits can hold."""
    if values.dtype.kind == "f":
        return -values
    return (sum(bits.range()) - values.astype(np.int64)).astype(values.dtype)


def without_padding(dataset: Dataset, values: np.ndarray) -> np.ndarray:
    """Padding, which may be brighter than the heart, becomes the darkest other value; the same array without any."""
    name = "FloatPixelPadding" if values.dtype.kind == "f" else "PixelPadding"
    first, last = number(dataset, f"{name}Value"), number(dataset, f"{name}RangeLimit")
    if first is None or (first == 0 and values.dtype.kind == "u" and not is_inverted(dataset)):
        return values  # 0 is as dark as can be
    ends = [_as_pixel(end, values.dtype) for end in (first, first if last is None else last)]
    padded = (values >= min(ends)) & (values <= max(ends))
    if padded.all() or not padded.any():
        return values
    others = values[~padded]
    return np.where(padded, others.max() if is_inverted(dataset) else others.min(), values)


def _as_pixel(end: float, kind: np.dtype) -> float:
    """Files give the end of padding now and then as unsigned where the pixels are signed, and the other way round."""
    if kind.kind == "f":
        return end
    wrap, signed = 1 << 8 * kind.itemsize, kind.kind == "i"
    return end - wrap if signed and end >= wrap // 2 else end + wrap if not signed and end < 0 else end


def modality_values(dataset: Dataset, frame_number: int | None, values: np.ndarray) -> np.ndarray:
    """Values after the modality transform, float32, or integers as they are where that is the identity."""
    if values.dtype.kind == "f":
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("pixels are not finite")
    if frame_number is None and items(dataset, "ModalityLUTSequence"):
        return apply_modality_lut(values, dataset).astype(np.float32)
    slope, intercept = rescale(dataset, frame_number)
    if slope == 0 and intercept == 0:  # how some programs write that there is none
        slope = 1.0
    if (slope, intercept) == (1, 0):
        return values
    with np.errstate(over="ignore"):
        rescaled = (values * slope + intercept).astype(np.float32)
    if slope == 0 or not np.isfinite(rescaled).all():
        raise ValueError("the modality transform leaves no grey values")
    return rescaled


def rescale(dataset: Dataset, frame_number: int | None) -> tuple[float, float]:
    """Slope and intercept of a frame: its own, or those of all frames, or of the instance."""
    places = [dataset]
    if frame_number is not None:
        own = item_at(dataset, "PerFrameFunctionalGroupsSequence", frame_number - 1)
        groups = [group for group in (own, first_item(dataset, "SharedFunctionalGroupsSequence")) if group is not None]
        places = [part for group in groups if (part := first_item(group, "PixelValueTransformationSequence"))] + places
    slope, intercept = number(places[0], "RescaleSlope"), number(places[0], "RescaleIntercept")
    return 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
