"""A received image with its attributes (``ismrmrdMeta``, XML) and its place in the patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

import numpy as np

from cardiacseg.acquisition import HEIGHT_M, UNKNOWN_BODY, WEIGHT_KG, Body
from cardiacseg.io.cine import MAPPED_INVERSION_TIMES, NO_CINE
from cardiacseg.io.geometry import directions, is_orientation
from cardiacseg.network.mrd.messages import MAGNITUDE, UNKNOWN_TYPE, Image

Attributes = dict[str, list[str]]
_LONGEST_MS = 60_000.0


@dataclass(frozen=True, eq=False)
class Source:
    """A received image.

    ``attributes`` are ``None`` if they cannot be read. ``cosines`` (directions of rows' and columns' index) are
    ``None`` if it cannot be placed in the patient. ``spacing`` is (slice, row, column) in mm; that of slices is the
    thickness if the image is two-dimensional. ``is_magnitude``: it is one real channel of magnitudes, of the first set
    and contrast.
    """

    image: Image
    attributes: Attributes | None = field(repr=False)
    cosines: tuple[float, ...] | None
    spacing: tuple[float, ...]
    is_magnitude: bool

    @property
    def header(self) -> np.ndarray:
        return self.image.header

    @property
    def shape(self) -> tuple[int, ...]:
        """``[z, y, x]``."""
        return self.image.pixels.shape[1:]

    @property
    def described(self) -> str:
        """The descriptions of its sequence and series, in capitals."""
        return " ".join(self._values("SequenceDescription", "SeriesDescription", "GADGETRON_SeqDescription")).upper()

    @property
    def inversion_time_ms(self) -> float:
        """To a whole ms; 0 if there is none."""
        try:
            found = float(next(iter(self._values("InversionTime", "GADGETRON_TI")), 0))
        except ValueError:
            return 0.0
        return round(found) if 0 < found < _LONGEST_MS else 0.0

    def _values(self, *names: str) -> list[str]:
        return [value for name in names for value in (self.attributes or {}).get(name, ())]

    def centers(self) -> np.ndarray:
        """Center of each plane, ``[z, 3]``."""
        normal = directions(self.cosines)[:, 2]
        along = -normal if normal @ np.asarray(self.header["slice_dir"], float) < 0 else normal
        steps = np.arange(self.shape[0]) - (self.shape[0] - 1) / 2
        return np.asarray(self.header["position"], float) + steps[:, None] * self.spacing[0] * along


def sign_against_cine(sources: Sequence[Source], phases: int) -> str:
    """Why images of so many phases are no cine by their attributes: maps, late enhancement; "" if there is no sign."""
    times = {source.inversion_time_ms for source in sources} - {0.0}
    if len(times) >= MAPPED_INVERSION_TIMES:
        return "the inversion time changes from image to image"
    if (times or phases == 1) and any(NO_CINE.search(source.described) for source in sources):
        has = "an inversion time" if times else "one phase"
        return f"the images have {has}, and a name of perfusion, a map or late enhancement"
    return ""


def as_source(image: Image) -> Source:
    """An image with what its header and attributes say of it. ImageRowDir and ImageColumnDir go before the header's
    directions, because hosts that turn images write them."""
    header, pixels, attributes = image.header, image.pixels, read_attributes(image.attributes)
    spacing = tuple((np.asarray(header["field_of_view"], float)[::-1] / pixels.shape[1:]).tolist())
    pairs = [(header["read_dir"], header["phase_dir"])]
    if attributes:
        pairs.insert(0, (attributes.get("ImageRowDir", ()), attributes.get("ImageColumnDir", ())))
    cosines = next(filter(is_orientation, map(_cosines, pairs)), None)
    is_placed = np.isfinite(header["position"]).all() and np.isfinite(spacing).all() and min(spacing) > 0
    is_plain = pixels.dtype.kind != "c" and len(pixels) == 1 and not header["set"] | header["contrast"]
    is_magnitude = bool(is_plain and header["image_type"] in (UNKNOWN_TYPE, MAGNITUDE))
    return Source(image, attributes, cosines if is_placed else None, spacing, is_magnitude)


def _cosines(pair: tuple[Sequence, Sequence]) -> tuple[float, ...] | None:
    try:
        found = tuple(float(value) for direction in pair for value in direction)
    except ValueError:
        return None
    return found if len(found) == 6 and np.isfinite(found).all() else None


def read_attributes(content: bytes) -> Attributes | None:
    """Names and values of an image's attributes (``ismrmrdMeta``); ``None`` if they cannot be read."""
    root = read_xml(content)
    if root is None:
        return None if content.strip() else {}
    found = ((meta.findtext("name"), [value.text or "" for value in meta.findall("value")]) for meta in root)
    return {name.strip(): values for name, values in found if name}


def write_attributes(attributes: Mapping[str, Sequence[str]]) -> bytes:
    """XML of attributes, as :func:`read_attributes` reads it."""
    root = ElementTree.Element("ismrmrdMeta")
    for name, values in attributes.items():
        meta = ElementTree.SubElement(root, "meta")
        ElementTree.SubElement(meta, "name").text = name
        for value in values:
            ElementTree.SubElement(meta, "value").text = value
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def read_xml(content: bytes | str) -> ElementTree.Element | None:
    """The root element; ``None`` if it is no XML, or declares entities, which would be expanded without a limit."""
    raw = content.encode() if isinstance(content, str) else content
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        return None
    try:
        return ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def body_of(xml: str) -> Body:
    """Height and weight in the measurement's XML header; unknown if it has none, or is no XML."""
    root = read_xml(xml)
    if root is None:
        return UNKNOWN_BODY
    found = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    return Body(_within(found.get("patientHeight_m"), HEIGHT_M), _within(found.get("patientWeight_kg"), WEIGHT_KG))


def _within(text: str | None, limits: tuple[float, float]) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if limits[0] <= value <= limits[1] else None
