"""Elements of HTML and SVG; the standard library writes them, so every text and attribute is escaped."""

from xml.etree import ElementTree

Element = ElementTree.Element


def element(tag: str, attributes: dict | None = None, *children: "Element | str") -> Element:
    """``<tag>`` with attributes (numbers are rounded to two digits) and children in order; ``None`` is left out."""
    given = {name: _text(value) for name, value in (attributes or {}).items() if value is not None}
    made = Element(tag, given)
    for child in children:
        if isinstance(child, str):
            _append_text(made, child)
        else:
            made.append(child)
    return made


def to_html(*elements: Element) -> str:
    """The elements as text, one after the other."""
    return "\n".join(ElementTree.tostring(one, encoding="unicode", method="html") for one in elements)


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _append_text(made: Element, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text
