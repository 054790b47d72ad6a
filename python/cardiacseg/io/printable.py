"""Texts that come from outside, such as file names, made harmless for a terminal and for a spreadsheet."""

# How a cell begins that a spreadsheet would run as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """``text`` with characters escaped that cannot be printed: control characters, and bytes that are no text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def csv_cell(value: object) -> object:
    """A cell of a table: numbers stay, and a text that a spreadsheet would take for a formula begins with ``'``."""
    if not isinstance(value, str):
        return value
    return ("'" if value.startswith(_FORMULA) else "") + printable(value)
