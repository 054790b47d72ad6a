"""DICOMweb as a client (PS3.18): retrieve the MR series of a study (WADO-RS), store files (STOW-RS)."""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import requests
from pydicom.dataset import Dataset

from cardiacseg.errors import InvalidInputError, NetworkError
from cardiacseg.io.budget import LIMITS, Budget
from cardiacseg.io.log_suppression import PYDICOM, suppress_logs
from cardiacseg.network.dicomweb.multipart import PIECE_BYTES, FilesMessage, Parts, boundary_of
from cardiacseg.network.dicomweb.query import JSON, Series, find_series, is_uid
from cardiacseg.network.dicomweb.server import WebServer
from cardiacseg.network.dicomweb.session import TooLargeError, TruncatedError, WebSession
from cardiacseg.network.instances import Instance, find_instances
from cardiacseg.network.send import DUPLICATE, SendReport, not_all_stored

LOGGER = logging.getLogger("cardiacseg.network")
_DICOM = "application/dicom"
_MULTIPART = f'multipart/related; type="{_DICOM}"'
_DUPLICATES = {DUPLICATE, 0xB00E}  # DICOM has no reason for this; 0xB00E is that of Azure's service
_REQUEST_BYTES = 64 << 20  # of files in one request, unless a single file is larger


def retrieve_study(study: str, server: WebServer, folder: Path, series: str | None = None) -> int:
    """Store the MR images of a study as files below ``folder``, and give their number (WADO-RS).

    ``series``: only these, by Series Instance UID or Series Number, several with commas; other texts, such as a group's
    name, choose nothing here. Files are as the service keeps them, in any transfer syntax. Each series is asked for by
    itself and written as it arrives; a series whose transfer breaks is asked for again. Raises ``InvalidInputError`` if
    there is no such series, ``DicomError`` with ``E_TOO_LARGE`` beyond the limits of one input, ``NetworkError`` else.
    """
    if not is_uid(study):
        raise InvalidInputError("expected a Study Instance UID (digits and dots, at most 64), got another text")
    with WebSession(server) as web:
        chosen, stored, count = _choose(find_series(study, web), series, web.name), 0, 0
        for index, one in enumerate(chosen, start=1):
            place = folder / f"series-{index:04}"
            size, files = web.again(partial(_retrieve_series, web, f"studies/{study}/series/{one.uid}", place, stored))
            _check_count(web.name, one, files)
            stored, count = stored + size, count + files
    LOGGER.info("retrieved %d files of %d series, %.1f MB", count, len(chosen), stored / 1e6)
    return count


def _choose(found: Sequence[Series], series: str | None, name: str) -> list[Series]:
    images = [one for one in found if one.modality in ("MR", "")]
    if not images:
        raise InvalidInputError(f"expected a study with MR series, {name} has {len(found)} series of it, none of MR")
    words = [word.strip() for word in (series or "").split(",")]
    named = [one for one in images if one.uid in words or (one.number is not None and str(one.number) in words)]
    if not named and any("." in word for word in words):
        raise InvalidInputError(f"expected a series of the study, {name} has none with this Series Instance UID")
    return named or images


def _retrieve_series(web: WebSession, path: str, place: Path, stored: int) -> tuple[int, int]:
    """Bytes and number of the files; ``stored`` bytes of the same study are there already."""
    shutil.rmtree(place, ignore_errors=True)  # of an attempt that broke
    place.mkdir(mode=0o700)
    budget = Budget(replace(LIMITS, bytes=LIMITS.bytes - stored), dicom=True)
    files = 0
    with _as_stored(web, path) as response:
        for files, part in enumerate(_parts(web, response), start=1):
            _write_part(place / f"{files:06}.dcm", part, budget)
    return LIMITS.bytes - stored - budget.left("bytes"), files


def _as_stored(web: WebSession, path: str) -> requests.Response:
    """The series in the transfer syntax in which it is kept; from a service that does not know how, in its default."""
    try:
        accept = {"Accept": f"{_MULTIPART}; transfer-syntax=*"}
        return web.ask("GET", path, headers=accept, stream=True)
    except requests.HTTPError as error:
        if error.response.status_code not in (400, 406):
            raise
        return web.ask("GET", path, headers={"Accept": _MULTIPART}, stream=True)


def _parts(web: WebSession, response: requests.Response) -> Iterator[Iterator[bytes]]:
    if response.status_code == 206:
        raise TruncatedError
    kind = response.headers.get("Content-Type", "")
    boundary = boundary_of(kind)
    if boundary is None:
        raise NetworkError(f"{web.name}: expected an answer of type multipart/related, got another one")
    yield from Parts(response.iter_content(PIECE_BYTES), boundary)


def _write_part(path: Path, part: Iterator[bytes], budget: Budget) -> None:
    budget.take("files", 1, path.name)
    size = 0
    with open(path, "xb") as file:
        for piece in part:
            size += len(piece)
            budget.check("file_bytes", size, path.name)
            budget.take("bytes", len(piece), path.name)
            file.write(piece)


def _check_count(name: str, series: Series, files: int) -> None:
    if series.instances is not None and files < series.instances:
        raise NetworkError(f"{name} sent {files} of {series.instances} instances of a series")


def store(source: str | Path | Sequence[str | Path], server: WebServer) -> SendReport:
    """Store a folder's DICOM files, or the given files, unchanged, in the order of their names (STOW-RS).

    Each request has at most 64 MiB of files, or one larger file; it is halved if the service takes no such request
    (413). ``associations`` of the report counts the requests. If the service does not store a file, the others are
    still sent. Raises ``InvalidInputError`` before anything is sent if a file is not DICOM. Raises ``NetworkError`` at
    the end with the files that were not stored, and at once if the service cannot be reached, is overloaded for long,
    or refuses a request; its ``stored`` names the others.
    """
    instances, others = find_instances(source)
    begin, requests_sent = time.perf_counter(), 0
    refused, warnings, stored = dict[str, str](), [], []
    with WebSession(server) as web:
        try:
            for part, answer in _answers(web, _split_by_bytes(instances)):
                requests_sent += 1
                refused |= answer.refused
                warnings += answer.warnings
                stored += [instance for instance in part if instance.name not in refused]
        except NetworkError as error:
            raise NetworkError(str(error), stored=[instance.name for instance in stored]) from None
    size, seconds = sum(instance.bytes for instance in stored), time.perf_counter() - begin
    report = SendReport(len(stored), size, seconds, requests_sent, others, tuple(warnings))
    LOGGER.info("sent %d files, %.1f MB, in %.1f s", report.sent, report.bytes / 1e6, report.seconds)
    if refused:
        raise not_all_stored(server.name, [instance.name for instance in stored], len(instances), refused)
    return report


def _split_by_bytes(instances: Sequence[Instance]) -> Iterator[list[Instance]]:
    part: list[Instance] = []
    for instance in instances:
        if part and sum(one.bytes for one in part) + instance.bytes > _REQUEST_BYTES:
            yield part
            part = []
        part.append(instance)
    yield part


def _answers(web: WebSession, parts: Iterable[list[Instance]]) -> Iterator[tuple[list[Instance], "_Answer"]]:
    for part in parts:
        try:
            yield part, _Answer(part, web.again(partial(_post, web, part)), web.name)
        except TooLargeError:
            middle = len(part) // 2
            if not middle:
                raise
            yield from _answers(web, (part[:middle], part[middle:]))


def _post(web: WebSession, part: Sequence[Instance]) -> requests.Response:
    message = FilesMessage([instance.path for instance in part], _DICOM)
    headers = {"Content-Type": message.content_type, "Accept": JSON}
    try:
        return web.ask("POST", "studies", data=message, headers=headers)
    except requests.HTTPError as error:
        if error.response.status_code == 409:  # none was stored; the answer says why
            return error.response
        raise


def _is_plain(response: requests.Response) -> bool:
    """Whether the status alone says, by PS3.18, that all were stored (200) or none (409), and no page was sent instead.

    A proxy that wants a login answers 200 with a page for a browser.
    """
    if response.status_code == 409:
        return True
    kind = response.headers.get("Content-Type", "").lower()
    is_report = ("json" in kind or "xml" in kind) and "html" not in kind
    return response.status_code == 200 and (is_report or not response.content.strip())


class _Answer:
    """What a service says of the files of one request: ``refused`` with reasons, ``warnings`` with their numbers."""

    def __init__(self, part: Sequence[Instance], response: requests.Response, name: str):
        self._names = {instance.sop_instance_uid: instance.name for instance in part}
        self.refused: dict[str, str] = {}
        self.warnings: list[tuple[str, int]] = []
        try:
            with suppress_logs(PYDICOM):
                said = self._take(response)
        except Exception:  # pydicom raises many kinds of errors for what is not DICOM JSON
            said = False
        if not (said or _is_plain(response)):
            raise NetworkError(f"{name} does not say which of {len(part)} files it stored ({response.status_code})")
        if response.status_code == 409:
            kept = {name for name, reason in self.warnings if reason in _DUPLICATES}
            self.refused = {
                name: self.refused.get(name, "status 409") for name in self._names.values() if name not in kept
            }

    def _take(self, response: requests.Response) -> bool:
        """Whether the answer says of any file that it was stored or refused."""
        if not response.content:
            return False
        said = Dataset.from_json(response.content.decode("utf-8-sig"))
        stored = said.get("ReferencedSOPSequence") or []
        confirmed = {self._name(item) for item in stored}
        for item in said.get("FailedSOPSequence") or []:
            name, reason = self._name(item), int(item.get("FailureReason") or 0)
            if reason in _DUPLICATES:
                confirmed.add(name)
                self.warnings.append((name, reason))
            else:
                self.refused[name] = f"reason 0x{reason:04X}"
        for item in stored:
            if item.get("WarningReason"):
                self.warnings.append((self._name(item), int(item.WarningReason)))
        if confirmed or self.refused:
            unsaid = set(self._names.values()) - confirmed - set(self.refused)
            self.refused |= dict.fromkeys(sorted(unsaid), "not confirmed")
        return bool(confirmed or self.refused)

    def _name(self, item: Dataset) -> str:
        return self._names.get(str(item.get("ReferencedSOPInstanceUID", "")), "a file")
