"""From decoded pixels to grey values: unused bits, padding, MONOCHROME1 and the modality transform."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut

from cardiacseg.io.dicom.headers import NATIVE
from cardiacseg.io.dicom.values import first_item, item_at, items, number, text, whole


def stored_values(dataset: Dataset, decoded: np.ndarray) -> np.ndarray:
    """Stored values of a frame, without unused bits, with padding darkest and, of MONOCHROME1, inverted."""
    values = _used_bits(dataset, decoded) if dataset.file_meta.TransferSyntaxUID in NATIVE else decoded
    if has_padding(dataset):
        values = _without_padding(dataset, values)
    if not is_inverted(dataset):
        return values
    low, high = _range(dataset)
    return (low + high - values.astype(np.int64)).astype(values.dtype)


def is_inverted(dataset: Dataset) -> bool:
    return text(dataset, "PhotometricInterpretation") == "MONOCHROME1"


def is_lossy(dataset: Dataset) -> bool:
    return text(dataset, "LossyImageCompression") == "01"


def has_padding(dataset: Dataset) -> bool:
    """Whether there is padding to be changed: that with 0 is as dark as can be already."""
    padding = whole(dataset, "PixelPaddingValue")
    return padding is not None and (padding != 0 or _is_signed(dataset))


def _is_signed(dataset: Dataset) -> bool:
    return dataset.PixelRepresentation == 1


def _range(dataset: Dataset) -> tuple[int, int]:
    bits = int(dataset.BitsStored)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if _is_signed(dataset) else (0, (1 << bits) - 1)


def _used_bits(dataset: Dataset, decoded: np.ndarray) -> np.ndarray:
    """The ``BitsStored`` bits below and with ``HighBit``, with their sign; the others may hold anything."""
    allocated, stored = 8 * decoded.dtype.itemsize, int(dataset.BitsStored)
    above = allocated - 1 - int(dataset.get("HighBit", stored - 1))
    if not (0 < stored <= allocated and 0 <= above <= allocated - stored):
        raise ValueError("bits stored do not fit the bits allocated")
    return np.right_shift(np.left_shift(decoded, above), allocated - stored)


def _without_padding(dataset: Dataset, values: np.ndarray) -> np.ndarray:
    first = whole(dataset, "PixelPaddingValue")
    ends = [first, whole(dataset, "PixelPaddingRangeLimit")]
    # Files give both as unsigned now and then, where the pixels are signed.
    wrap = 1 << 8 * values.dtype.itemsize
    signed = [e - wrap if _is_signed(dataset) and e >= wrap // 2 else e for e in ends if e is not None]
    padded = (values >= min(signed)) & (values <= max(signed))
    if padded.all():
        return values
    return np.where(padded, values[~padded].min(), values)


def modality_values(dataset: Dataset, frame_number: int | None, values: np.ndarray) -> np.ndarray:
    """Values after the modality transform, float32, or as they are where that is the identity."""
    if frame_number is None and items(dataset, "ModalityLUTSequence"):
        return apply_modality_lut(values, dataset).astype(np.float32)
    slope, intercept = _rescale(dataset, frame_number)
    if (slope, intercept) == (1, 0):
        return values
    with np.errstate(over="ignore"):
        rescaled = (values * slope + intercept).astype(np.float32)
    if slope == 0 or not np.isfinite(rescaled).all():
        raise ValueError("the modality transform leaves no grey values")
    return rescaled


def _rescale(dataset: Dataset, frame_number: int | None) -> tuple[float, float]:
    """Slope and intercept of a frame: its own, or those of all frames, or of the instance."""
    places = [dataset]
    if frame_number is not None:
        own = item_at(dataset, "PerFrameFunctionalGroupsSequence", frame_number - 1)
        groups = [group for group in (own, first_item(dataset, "SharedFunctionalGroupsSequence")) if group is not None]
        places = [part for group in groups if (part := first_item(group, "PixelValueTransformationSequence"))] + places
    slope, intercept = number(places[0], "RescaleSlope"), number(places[0], "RescaleIntercept")
    return 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
