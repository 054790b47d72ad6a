"""Watching a DICOMweb service: studies with new MR images are retrieved and passed on, each state of a study once."""

import hashlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path

from cardiacseg.errors import Error, InvalidInputError
from cardiacseg.network.dicomweb import retrieve_study
from cardiacseg.network.durable import write_private
from cardiacseg.network.loggable import loggable
from cardiacseg.network.query import find_series, find_studies
from cardiacseg.network.web import WebServer
from cardiacseg.network.web_session import WebSession

LOGGER = logging.getLogger("cardiacseg.network")
_REMEMBERED = 10_000  # states of studies
_NO_QUERY: dict[str, str] = {}

# Takes the folder of a study's files, which is removed afterwards. If it raises, the study is offered again.
Take = Callable[[Path], None]
# The MR series of a study with their numbers of instances.
_State = tuple[tuple[str, int | None], ...]


class StudyWatch:
    """Asks for studies every ``interval_s`` seconds from :meth:`start` to :meth:`stop`; also a context manager.

    Watched are studies with MR images whose StudyDate is today or one of the ``days`` before, and that match ``query``
    (keywords or tags with values, as QIDO-RS has them). A study is taken if its MR series and their numbers of
    instances are the same at two queries, and again if they change after that. ``seen`` is a file that remembers what
    was taken, as digests, so that a restart takes nothing twice. Results in the study, which are not MR, change
    nothing.
    """

    def __init__(
        self,
        server: WebServer,
        seen: Path,
        take: Take,
        *,
        query: Mapping[str, str] = _NO_QUERY,
        days: int = 1,
        interval_s: float = 60.0,
    ):
        if not interval_s > 0 or days < 0:
            raise InvalidInputError(f"expected a positive interval and days from 0, got {interval_s} s and {days} days")
        self._server, self._file, self._take = server, seen, take
        self._query, self._days, self._interval_s = dict(query), days, interval_s
        self._seen, self._before = _read(seen), dict[str, _State]()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cardiacseg-watch", daemon=True)

    def start(self) -> "StudyWatch":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop after the study that is being retrieved."""
        self._end.set()
        self._thread.join()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def __enter__(self) -> "StudyWatch":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def look(self) -> int:
        """Ask once, and give the number of studies that were taken. Raises ``NetworkError`` and ``OSError``."""
        states = self._states()
        settled = [study for study, state in states.items() if state and state == self._before.get(study)]
        self._before = states
        new = [study for study in settled if _digest(study, states[study]) not in self._seen]
        return sum(self._retrieve(study, states[study]) for study in new if not self._end.is_set())

    def _states(self) -> dict[str, _State]:
        today = date.today()
        days = f"{today - timedelta(self._days):%Y%m%d}-{today:%Y%m%d}"
        with WebSession(self._server) as web:
            studies = find_studies(web, {"ModalitiesInStudy": "MR", "StudyDate": days, **self._query})
            return {study: _state(study, web) for study in studies}

    def _retrieve(self, study: str, state: _State) -> bool:
        """Whether the study is done with: taken, or nothing that can be taken; else it is tried at the next query."""
        try:
            with tempfile.TemporaryDirectory(prefix="cardiacseg-watch-") as folder:
                retrieve_study(study, self._server, Path(folder))
                self._take(Path(folder))
        except (Error, OSError) as error:
            LOGGER.warning("a watched study was not taken: %s", loggable(error))
            if not isinstance(error, InvalidInputError):
                return False
        self._seen = [*self._seen, _digest(study, state)][-_REMEMBERED:]
        write_private(self._file, json.dumps(self._seen).encode())
        return True

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self.look()
            except Exception as error:  # whatever it is, studies that come later must not be missed
                LOGGER.warning("the watched service was not read: %s", loggable(error))
            self._end.wait(self._interval_s)


def _state(study: str, web: WebSession) -> _State:
    found = [(series.uid, series.instances) for series in find_series(study, web) if series.modality == "MR"]
    return tuple(sorted(found, key=str))


def _digest(study: str, state: _State) -> str:
    return hashlib.sha256(json.dumps([study, state]).encode()).hexdigest()


def _read(path: Path) -> list[str]:
    """What an earlier watch took. Raises ``InvalidInputError`` if the file is something else."""
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be read; expected the memory of a watch") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InvalidInputError(f"expected the memory of a watch, got another file: {path}")
    return found
