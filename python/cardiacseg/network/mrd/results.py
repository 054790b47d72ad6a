"""What is sent back for a segmented cine: label images, overlays, contours, measurements as attributes and as text."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cardiacseg import __version__
from cardiacseg.io.cine import SegmentedCine
from cardiacseg.io.contours import CONTOURED, outline, polygons
from cardiacseg.io.report.images import as_bytes, grey_window, heart_box
from cardiacseg.io.report.preview import COLORS
from cardiacseg.metrics import STRUCTURES
from cardiacseg.network.mrd.messages import MAGNITUDE, RGB, Image
from cardiacseg.network.mrd.sources import Attributes, Source, write_attributes
from cardiacseg.network.mrd.stacks import Place, Stack

LABEL_OF = {name.upper(): label for name, label in STRUCTURES.items()}
_OPACITY = 0.35  # of an overlay's colors
# Names of attributes, and of the measurements that they hold.
_MEASURED = {
    "LVEDV_ml": "lv_edv_ml",
    "LVESV_ml": "lv_esv_ml",
    "LVSV_ml": "lv_sv_ml",
    "LVEF_percent": "lv_ef_percent",
    "RVEDV_ml": "rv_edv_ml",
    "RVESV_ml": "rv_esv_ml",
    "RVSV_ml": "rv_sv_ml",
    "RVEF_percent": "rv_ef_percent",
    "LVM_g": "lv_mass_g",
    "LVCO_l_min": "lv_co_l_min",
    "HR_per_min": "heart_rate_per_min",
    "BSA_m2": "bsa_m2",
}
# Siemens' names and those of Gadgetron for the same attribute.
_GADGETRON = {
    "DataRole": "GADGETRON_DataRole",
    "ImageProcessingHistory": "GADGETRON_ImageProcessingHistory",
    "ImageComments": "GADGETRON_ImageComment",
    "WindowCenter": "GADGETRON_WindowCenter",
    "WindowWidth": "GADGETRON_WindowWidth",
    "LUTFileName": "GADGETRON_ColorMap",
}
# Of the input's grey values; they would change or misshow labels and colors.
_OF_GREY_VALUES = (
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "LUTFileName", "GADGETRON_ScaleRatio"),
    *("GADGETRON_ScaleOffset", "GADGETRON_WindowCenter", "GADGETRON_WindowWidth", "GADGETRON_ColorMap"),
)


def _names_the_source(name: str) -> bool:
    """Whether an attribute names the received image or its series: hosts store images with equal names as one."""
    return name in ("IceMiniHead", "SeriesNumberRangeNameUID") or name.endswith(("SeriesInstanceUID", "SOPInstanceUID"))


@dataclass(frozen=True)
class ResultOptions:
    """Which images are sent back. ``structures``: those of :data:`LABEL_OF` that labels, overlays and contours show.

    ``lut`` is the name of the host's color table for labels, "" for none. The series index of labels is the input's
    plus ``series_shift``, that of overlays plus twice that, of images with contours plus three times.
    """

    labels: bool = True
    overlay: bool = False
    contours: bool = False
    originals: bool = False
    structures: tuple[str, ...] = CONTOURED
    lut: str = "MicroDeltaHotMetal.pal"
    series_shift: int = 100


def result_images(stack: Stack, segmented: SegmentedCine, options: ResultOptions) -> Iterator[Image]:
    """Images for all images of a stack: first all labels, then overlays, then originals with contours.

    Contours are only made for two-dimensional images. ``image_index`` is left to who numbers the images of a series.
    """
    shown = [LABEL_OF[name] for name in options.structures]
    labels = np.where(np.isin(segmented.labels, shown), segmented.labels, np.uint8(0))
    measured = measurement_attributes(segmented)
    if options.labels:
        for place in stack.places:
            yield _label_image(place, labels, measured, options)
    if options.overlay:
        window = grey_window(stack.cine.image, heart_box(segmented.labels, stack.cine.spacing))
        for place in stack.places:
            yield _overlay_image(place, labels, window, measured, options)
    if options.contours:
        for place in (place for place in stack.places if len(place.slices) == 1):
            yield _contour_image(place, segmented.labels, measured, options)


def original_image(source: Source) -> Image:
    """A received image as it goes back: the host must not turn it. Attributes that cannot be read stay as they are."""
    if source.attributes is None:
        return source.image
    attributes = {**source.attributes, "Keep_image_geometry": ["1"]}
    return Image(source.header, write_attributes(attributes), source.image.pixels)


def measurement_attributes(segmented: SegmentedCine) -> Attributes:
    """Measurements, conventions, flags and model as attributes; values that do not exist are left out.

    One frame has no ED or ES: its volumes are LV_ml and RV_ml.
    """
    values = {name: getattr(segmented.measurements, value) for name, value in _MEASURED.items()}
    if len(segmented.labels) == 1:
        values |= {"LV_ml": segmented.measurements.lv_ml[0], "RV_ml": segmented.measurements.rv_ml[0]}
    found = {name: [f"{value:.2f}"] for name, value in values.items() if value is not None}
    found["CARDIACSEG_Version"] = [__version__]
    found["CARDIACSEG_Labels"] = [f"{value} {name}" for name, value in LABEL_OF.items()]
    found["CARDIACSEG_PapillaryMuscles"] = [segmented.measurements.conventions["papillary_muscles"]]
    found["CARDIACSEG_Flags"] = sorted({flag.code for flag in segmented.flags}) or ["none"]
    if segmented.result is not None:
        report = segmented.result.report
        found |= {"CARDIACSEG_Model": [report.model], "CARDIACSEG_ModelDigest": [report.model_digest]}
    found["CARDIACSEG_Use"] = ["research only, not a medical device"]
    return found


def measurement_text(segmented: SegmentedCine) -> str:
    """A line for each measurement, the model and each quality flag."""
    attributes = measurement_attributes(segmented)
    frames, slices = segmented.labels.shape[:2]
    model = f"model {attributes.get('CARDIACSEG_Model', ['unknown'])[0]}, research use only"
    lines = [f"cardiacseg {__version__}: {slices} slices and {frames} phases segmented; {model}"]
    lines += [f"{name} {attributes[name][0]}" for name in ("LV_ml", "RV_ml", *_MEASURED) if name in attributes]
    return "\n".join([*lines, *(f"look at: {flag.text}" for flag in segmented.flags)])


def _label_image(place: Place, labels: np.ndarray, measured: Attributes, options: ResultOptions) -> Image:
    pixels = labels[place.frame, list(place.slices)][None].astype(np.uint16)
    own = {
        "DataRole": ["Image", "Quantitative"],  # so that the host does not rescale the values
        "SequenceDescriptionAdditional": ["CARDIACSEG_MASK"],
        "ImageComments": ["labels: 1 RV, 2 myocardium, 3 LV"],
        "WindowCenter": ["2"],
        "WindowWidth": ["4"],
        **({"LUTFileName": [options.lut]} if options.lut else {}),
    }
    header = _header(place, 1, options, MAGNITUDE)
    return Image(header, _attributes(place, own | measured, drop=_OF_GREY_VALUES), pixels)


def _overlay_image(
    place: Place,
    labels: np.ndarray,
    window: tuple[float, float],
    measured: Attributes,
    options: ResultOptions,
) -> Image:
    grey = as_bytes(place.source.image.pixels[0], window)
    own = {
        "DataRole": ["Image"],
        "SequenceDescriptionAdditional": ["CARDIACSEG_OVERLAY"],
        "ImageComments": ["overlay of RV, myocardium and LV"],
        "InternalSend": ["1"],  # as the host's corrections are for grey values
    }
    pixels = _colored(grey, labels[place.frame, list(place.slices)])
    header = _header(place, 2, options, RGB)
    return Image(header, _attributes(place, own | measured, drop=_OF_GREY_VALUES), pixels)


def _colored(grey: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Grey values ``[z, y, x]`` with the colors of the labels, uint16 ``[3, z, y, x]`` from 0 to 255."""
    table = np.zeros((4, 3))
    for name, label in LABEL_OF.items():
        table[label] = _rgb(name)
    color = np.moveaxis(table[labels], -1, 0) * 255
    opacity = np.where(labels > 0, _OPACITY, 0.0)
    return np.rint(grey * (1 - opacity) + color * opacity).astype(np.uint16)


def _rgb(name: str) -> tuple[float, ...]:
    """The color of a structure, each part from 0 to 1."""
    return tuple(byte / 255 for byte in bytes.fromhex(COLORS[name][1:]))


def _contour_image(place: Place, labels: np.ndarray, measured: Attributes, options: ResultOptions) -> Image:
    own = {
        "SequenceDescriptionAdditional": ["CARDIACSEG_CONTOURS"],
        "ImageComments": ["contours of RV, myocardium and LV"],
        **contour_attributes(labels[place.frame, place.slices[0]], options.structures),
    }
    header = _header(place, 3, options, int(place.source.header["image_type"]) or MAGNITUDE)
    return Image(header, _attributes(place, own | measured, drop=()), place.source.image.pixels)


def contour_attributes(labels: np.ndarray, structures: tuple[str, ...] = CONTOURED) -> Attributes:
    """``ROI_<structure>`` of labels ``[H, W]``, with a number from the second part of a structure on.

    Values: red, green and blue from 0 to 1, thickness, style (0 solid), visibility (1), then x and y of each point in
    pixels from the image's upper left corner, so that the first pixel's center is (0.5, 0.5). The first point is
    repeated at the end. The myocardium's contour is its outer one.
    """
    found: Attributes = {}
    for name in structures:
        for number, points in enumerate(polygons(outline(labels, name)), start=1):
            closed = np.concatenate([points, points[:1]]) + 0.5
            line = [*(f"{part:f}" for part in _rgb(name)), f"{1:f}", "0", "1"]
            key = f"ROI_{name}" if number == 1 else f"ROI_{name}_{number}"
            found[key] = [*line, *(f"{value:f}" for value in closed.ravel())]
    return found


def _header(place: Place, kind: int, options: ResultOptions, image_type: int) -> np.ndarray:
    header = place.source.header.copy()
    header["image_series_index"] = (int(header["image_series_index"]) + kind * options.series_shift) % (1 << 16)
    header["image_type"] = image_type
    return header


def _attributes(place: Place, own: Attributes, drop: tuple[str, ...]) -> bytes:
    received = (place.source.attributes or {}).items()
    before = {name: values for name, values in received if name not in drop and not _names_the_source(name)}
    for name in before.keys() & {"ImageType", "DicomImageType"}:
        before[name] = [value.replace("ORIGINAL", "DERIVED") for value in before[name]]
    history = [*before.get("ImageProcessingHistory", ()), "CARDIACSEG"]
    cosines = [f"{cosine:.18f}" for cosine in place.source.cosines or ()]
    own = {
        **own,
        "ImageProcessingHistory": history,
        "SeriesDescriptionAdditional": own["SequenceDescriptionAdditional"],
        "ImageComment": own["ImageComments"],
        "Keep_image_geometry": ["1"],
        "ImageRowDir": cosines[:3],
        "ImageColumnDir": cosines[3:],
    }
    twins = {twin: own[name] for name, twin in _GADGETRON.items() if name in own}
    return write_attributes({**before, **own, **twins})
