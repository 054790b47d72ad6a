"""Keeping a patient's data out of warnings and logs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

PYDICOM, NIBABEL = "pydicom", "nibabel.global"


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """No warning, and no line of the logger ``name``, inside: libraries repeat the values that they complain about."""
    logger = logging.getLogger(name)
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before
