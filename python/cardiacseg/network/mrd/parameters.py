"""Parameters of a session: the server's defaults, and what a client's JSON text changes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cardiacseg.io.contours import CONTOURED
from cardiacseg.network.mrd.results import ResultOptions
from cardiacseg.network.mrd.stacks import StackOptions

ON_ERROR = ("auto", "close", "drop")
GROUP, PLANE = ("series", "session"), ("sax", "any")
OPEN_RECON = "openrecon"
_STACKS, _RESULTS = StackOptions(), ResultOptions()


@dataclass(frozen=True)
class Parameters:
    """How a session is served.

    ``config`` is the configuration's name, which changes nothing but ``on_error``. ``model`` is the name of one of the
    server's models. ``group``: images of one cine are of one ``"series"``, or any of the ``"session"``; series with too
    few slices are joined at the end of the session. ``on_error``: after a failure send ``"close"``, or ``"drop"`` the
    connection without it, which tells Siemens' host of the failure; ``"auto"`` drops for the configuration
    ``openrecon``.
    """

    config: str = ""
    model: str = "default"
    group: str = "series"
    on_error: str = "auto"
    stacks: StackOptions = _STACKS
    results: ResultOptions = _RESULTS

    @property
    def drops(self) -> bool:
        """Whether a failed session ends without CLOSE."""
        return self.on_error == "drop" or (self.on_error == "auto" and self.config.lower() == OPEN_RECON)


def with_json(parameters: Parameters, text: str, models: Sequence[str]) -> tuple[Parameters, list[str]]:
    """Parameters changed by JSON ``{"parameters": {...}}``, and a sentence for each value that was not used.

    Values may be strings or of JSON's own types; names may be in any case; unknown names, and texts that are no such
    JSON, are ignored.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return parameters, []
    given = document.get("parameters") if isinstance(document, dict) else None
    if not isinstance(given, dict):
        return parameters, []
    known, problems = _known(models), []
    for name, value in sorted(given.items(), key=lambda item: item[0].lower() == "customconfig"):
        place, parse = known.get(name.lower(), ("", None))
        if parse is None or value is None:
            continue
        try:
            parameters = _changed(parameters, place, parse(value))
        except ValueError as error:
            problems.append(f"parameter {name}: {error}; the default is used")
    return parameters, problems


def _changed(parameters: Parameters, place: str, value: Any) -> Parameters:
    if value is None:
        return parameters
    part, _, name = place.rpartition(".")
    if not part:
        return replace(parameters, **{name: value})
    return replace(parameters, **{part: replace(getattr(parameters, part), **{name: value})})


def _known(models: Sequence[str]) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    """Lower-case name -> the field, and the parser of its value."""
    return {
        "config": ("config", _name),
        "customconfig": ("config", _name),
        "model": ("model", _one_of(tuple(models))),
        "group": ("group", _one_of(GROUP)),
        "plane": ("stacks.plane", _one_of(PLANE)),
        "slices": ("stacks.slices", _count),
        "phases": ("stacks.phases", _count),
        "uneven": ("stacks.uneven", _switch),
        "labels": ("results.labels", _switch),
        "overlay": ("results.overlay", _switch),
        "contours": ("results.contours", _switch),
        "sendoriginal": ("results.originals", _switch),
        "structures": ("results.structures", structures_of),
        "onerror": ("on_error", _one_of(ON_ERROR)),
    }


def _name(value: Any) -> str | None:
    """A configuration's name; an empty one changes nothing."""
    return str(value)[:100] or None


def _switch(value: Any) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None:
        raise ValueError("expected true or false")
    return found


def _count(value: Any) -> int:
    text = str(value).strip().removesuffix(".0")
    if not (text.isascii() and text.isdecimal()) or len(text) > 4:
        raise ValueError("expected a whole number from 0 to 9999")
    return int(text)


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        found = next((word for word in words if word.lower() == str(value).strip().lower()), None)
        if found is None:
            raise ValueError(f"expected {', '.join(words)}")
        return found

    return parse


def structures_of(value: Any) -> tuple[str, ...]:
    """``"RV,MYO,LV"`` or a part of it, or ``"all"``. Raises ``ValueError`` for anything else."""
    words = str(value).replace("+", ",").upper().split(",")
    names = CONTOURED if words == ["ALL"] else tuple(name for name in CONTOURED if name in map(str.strip, words))
    if len(names) != (len(CONTOURED) if words == ["ALL"] else len(words)):
        raise ValueError("expected all, or RV, MYO and LV with commas between them")
    return names
