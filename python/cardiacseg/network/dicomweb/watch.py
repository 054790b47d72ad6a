"""Watching a DICOMweb service: studies with new MR images are retrieved and passed on, each state of a study once."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from cardiacseg.errors import InvalidInputError, NetworkError
from cardiacseg.network.dicomweb.client import retrieve_study
from cardiacseg.network.dicomweb.query import find_series, find_studies
from cardiacseg.network.dicomweb.server import WebServer
from cardiacseg.network.dicomweb.session import WebSession
from cardiacseg.network.durable import remove_folder, write_private
from cardiacseg.network.serving import loggable

LOGGER = logging.getLogger("cardiacseg.network")
_REMEMBERED = 10_000  # states of studies
_MOST_LOOKS = 60  # until a study that failed is tried again
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
    was taken, as digests, so that a restart takes nothing twice; a study that is being retrieved lies beside it, in
    ``retrieved``. Results in the study, which are not MR, change nothing. ``failed`` is called after a failure.
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
        failed: Callable[[], None] = lambda: None,
    ):
        if not interval_s > 0 or days < 0:
            raise InvalidInputError(f"expected a positive interval and days from 0, got {interval_s} s and {days} days")
        self._server, self._file, self._take, self._failed = server, seen, take, failed
        self._folder = seen.with_name("retrieved")
        self._query, self._days, self._interval_s = dict(query), days, interval_s
        self._seen, self._before = _read(seen), dict[str, _State]()
        self._looks, self._again = 0, dict[str, tuple[int, int]]()  # digest -> failures, and when it is tried again
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cardiacseg-watch", daemon=True)

    def start(self) -> "StudyWatch":
        """Raises ``OSError`` if what a killed watch was retrieving cannot be removed."""
        remove_folder(self._folder)
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
        settled = {_digest(*one): one[0] for one in states.items() if one[1] and one[1] == self._before.get(one[0])}
        self._before, self._looks = states, self._looks + 1
        self._again = {digest: again for digest, again in self._again.items() if digest in settled}
        new = [digest for digest in settled if digest not in self._seen]
        due = [digest for digest in new if self._again.get(digest, (0, 0))[1] <= self._looks]
        return sum(self._retrieve(settled[digest], digest) for digest in due if not self._end.is_set())

    def _states(self) -> dict[str, _State]:
        today = date.today()
        days = f"{today - timedelta(self._days):%Y%m%d}-{today:%Y%m%d}"
        with WebSession(self._server) as web:
            studies = find_studies(web, {"ModalitiesInStudy": "MR", "StudyDate": days, **self._query})
            return {study: _state(study, web) for study in studies}

    def _retrieve(self, study: str, digest: str) -> bool:
        """Whether the study is done with: taken, or nothing that can be taken; else it is tried at a later query.

        Raises ``OSError`` if there is no room, also for the studies that follow.
        """
        try:
            remove_folder(self._folder)
            self._folder.mkdir(mode=0o700, parents=True)
            retrieve_study(study, self._server, self._folder)
            self._take(self._folder)
        except Exception as error:  # whatever it is, other studies must not be missed
            if isinstance(error, OSError) and not isinstance(error, NetworkError):
                raise
            LOGGER.warning("a watched study was not taken: %s", loggable(error))
            self._failed()
            if not isinstance(error, InvalidInputError):
                failures = self._again.get(digest, (0, 0))[0] + 1
                self._again[digest] = failures, self._looks + min(2 ** (failures - 1), _MOST_LOOKS)
                return False
        finally:
            with suppress(OSError):  # the next one does it
                remove_folder(self._folder)
        self._seen = [*self._seen, digest][-_REMEMBERED:]
        write_private(self._file, json.dumps(self._seen).encode())
        return True

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self.look()
            except Exception as error:  # whatever it is, studies that come later must not be missed
                LOGGER.warning("watching stops until the next query: %s", loggable(error))
                self._failed()
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
