"""The command line: one function for each command. Research use only."""

import os
import sys
import warnings
from collections.abc import Sequence

from cardiacseg.cli.parser import build_parser
from cardiacseg.cli.terminal import complain
from cardiacseg.errors import Error, InputWarning

_DICOM_PACKAGES = {"pydicom", "pynetdicom", "highdicom", "requests"}


def _exit_code(error: Exception) -> int:
    from cardiacseg.errors import BackendError, BundleError, BundleNotFoundError, NetworkError

    if isinstance(error, (BundleError, BundleNotFoundError)):
        return 3
    if isinstance(error, BackendError):
        return 4
    return 5 if isinstance(error, NetworkError) else 2


def _sentence(error: Error | OSError) -> str:
    if isinstance(error, Error) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _run(arguments: Sequence[str] | None) -> int:
    warnings.simplefilter("ignore", InputWarning)  # the quality flags hold more
    options = build_parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except BrokenPipeError:
        raise
    except (Error, OSError) as error:
        complain(_sentence(error))
        return _exit_code(error)
    except ImportError as error:
        package = (error.name or "").split(".")[0]
        if package in _DICOM_PACKAGES:
            complain(f'DICOM needs {package}: pip install "cardiacseg[dicom]"')
            return 2
        if package == "distributed":
            complain('--scheduler needs distributed: pip install "cardiacseg[cluster]"')
            return 2
        complain(str(error))
        return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:  # it is None if the caller closed it
                sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has closed it, as head does
        _discard_output()
        return 141  # the exit code that a shell gives to a program that SIGPIPE ended
    except OSError as error:
        _discard_output()
        complain(f"cannot write to standard output: {error.strerror}")
        return 2


def _discard_output() -> None:
    """Discard what is still to be written to standard output, so that the end of the interpreter reports no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
