"""Other libraries' log lines about the network carry UIDs, titles and values; here they stay silent."""

import logging

_OWN_LEVELS = {"pynetdicom": logging.NOTSET, "pydicom": logging.WARNING}  # as they are after their import


def silence_libraries() -> None:
    """Switch off the loggers of pynetdicom and pydicom, except where the program has set their level itself."""
    for name, level in _OWN_LEVELS.items():
        logger = logging.getLogger(name)
        if logger.level == level:
            logger.setLevel(logging.CRITICAL + 1)
