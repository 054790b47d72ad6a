"""Log suppression: libraries repeat the values that they complain about, and these may be a patient's data."""

import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

PYDICOM, NIBABEL = "pydicom", "nibabel.global"

# Loggers and warning filters are of the whole process: the first user of several at one time switches off, the last
# one switches on again.
_lock = threading.Lock()
_users: Counter[str] = Counter()
_was_disabled: dict[str, bool] = {}
_filters = ExitStack()
_NETWORK_LEVELS = {"pynetdicom": logging.NOTSET, "pydicom": logging.WARNING}  # as they are after their import


@contextmanager
def suppress_logs(name: str) -> Iterator[None]:
    """No warning, and no line of the logger ``name``, inside: libraries repeat the values that they complain about.

    Threads may be inside at the same time; logs stay suppressed until the last one leaves.
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


def silence_network_logs() -> None:
    """Switch off the loggers of pynetdicom and pydicom: their lines carry UIDs, titles and values."""
    _raise_levels(_NETWORK_LEVELS, logging.CRITICAL + 1)


def silence_highdicom_info() -> None:
    """Let a program that listens to INFO not hear highdicom, whose lines carry UIDs."""
    _raise_levels({"highdicom": logging.NOTSET}, logging.WARNING)


def _raise_levels(levels: Mapping[str, int], to: int) -> None:
    """Raise the loggers' levels, except if the program has set one itself."""
    for name, level in levels.items():
        logger = logging.getLogger(name)
        if logger.level == level:
            logger.setLevel(to)
