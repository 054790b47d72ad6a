"""Keeping a patient's data out of warnings and logs."""

import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

PYDICOM, NIBABEL = "pydicom", "nibabel.global"

# Loggers and warning filters are of the whole process: the first user of several at one time switches off, the last
# one switches on again.
_lock = threading.Lock()
_users: Counter[str] = Counter()
_was_disabled: dict[str, bool] = {}
_filters = ExitStack()


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """No warning, and no line of the logger ``name``, inside: libraries repeat the values that they complain about.

    Threads may be inside at the same time; until the last one leaves, the process stays quiet.
    """
    _enter(name)
    try:
        yield
    finally:
        _leave(name)


def _enter(name: str) -> None:
    with _lock:
        if not _users.total():
            _filters.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        if not _users[name]:
            logger = logging.getLogger(name)
            _was_disabled[name], logger.disabled = logger.disabled, True
        _users[name] += 1


def _leave(name: str) -> None:
    with _lock:
        _users[name] -= 1
        if not _users[name]:
            logging.getLogger(name).disabled = _was_disabled.pop(name)
        if not _users.total():
            _filters.close()
