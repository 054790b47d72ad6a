"""Queries to a DICOMweb service (QIDO-RS): the series of a study, the studies of some days."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from cardiacseg.errors import NetworkError
from cardiacseg.network.dicomweb.session import WebSession

JSON = "application/dicom+json"
_MOST = 10_000  # rows of an answer, over all pages
_STUDY_UID, _SERIES_UID, _SERIES_NUMBER = "0020000D", "0020000E", "00200011"
_MODALITY, _INSTANCES = "00080060", "00201209"
Row = TypeVar("Row")


@dataclass(frozen=True)
class Series:
    """A series of a study; ``instances`` is the number that the service states, ``None`` if it states none."""

    uid: str
    modality: str
    number: int | None
    instances: int | None


def find_series(study: str, web: WebSession) -> list[Series]:
    """All series of the study with this Study Instance UID."""
    query = {"includefield": [_SERIES_NUMBER, _INSTANCES]}
    return list(_find(web, f"studies/{study}/series", query, _SERIES_UID, _series).values())


def find_studies(web: WebSession, query: Mapping[str, str]) -> list[str]:
    """Study Instance UIDs of all studies that match; keys of ``query`` are keywords or tags, as QIDO-RS has them."""
    return list(_find(web, "studies", query, _STUDY_UID, lambda uid, item: uid))


def is_uid(text: str) -> bool:
    """Whether it can stand in an address; some UIDs in use have parts that begin with zero."""
    return re.fullmatch(r"[0-9.]{1,64}", text) is not None


def _find(
    web: WebSession, path: str, query: Mapping[str, object], key: str, read: Callable[[str, dict], Row]
) -> dict[str, Row]:
    """All rows by the UID ``key``, in pages, as services limit their answers; some services ignore the offset."""
    found: dict[str, Row] = {}
    while True:
        page = web.again(partial(_page, web, path, {**query, "offset": len(found)}, key, read))
        new = {uid: row for uid, row in page.items() if uid not in found}
        if not new:
            return found
        found |= new
        if len(found) > _MOST:
            raise NetworkError(f"{web.name}: expected at most {_MOST} rows in the answer to a query, got more")


def _page(
    web: WebSession, path: str, query: Mapping[str, object], key: str, read: Callable[[str, dict], Row]
) -> dict[str, Row]:
    response = web.ask("GET", path, params=query, headers={"Accept": JSON})
    if response.status_code == 204 or not response.content:
        return {}
    try:
        return {uid: read(uid, item) for item in json.loads(response.content) for uid in [_uid(item, key)]}
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise NetworkError(f"{web.name} gave an answer to a query that is not DICOM JSON") from error


def _uid(item: dict, key: str) -> str:
    uid = str(_first(item, key))
    if not is_uid(uid):
        raise ValueError("a row without a UID")
    return uid


def _series(uid: str, item: dict) -> Series:
    return Series(uid, str(_first(item, _MODALITY) or ""), _count(item, _SERIES_NUMBER), _count(item, _INSTANCES))


def _first(item: dict, tag: str) -> object:
    return next(iter(item.get(tag, {}).get("Value") or ()), None)


def _count(item: dict, tag: str) -> int | None:
    return None if _first(item, tag) is None else int(float(_first(item, tag)))
