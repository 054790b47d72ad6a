"""The command line: one function for each command. Research use only."""

import sys
from collections.abc import Sequence

from cardiacseg.cli.parser import build_parser

_DICOM_PACKAGES = {"pydicom", "pynetdicom", "highdicom"}


def _exit_code(error: Exception) -> int:
    from cardiacseg.errors import BackendError, BundleError, BundleNotFoundError, NetworkError

    if isinstance(error, (BundleError, BundleNotFoundError)):
        return 3
    if isinstance(error, BackendError):
        return 4
    return 5 if isinstance(error, NetworkError) else 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from cardiacseg.errors import Error

    options = build_parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except KeyboardInterrupt:
        print("cardiacseg: interrupted", file=sys.stderr)
        return 130
    except (Error, OSError) as error:
        print(f"cardiacseg: {error}", file=sys.stderr)
        return _exit_code(error)
    except ImportError as error:
        package = (error.name or "").split(".")[0]
        if package in _DICOM_PACKAGES:
            print(f'cardiacseg: DICOM needs {package}: pip install "cardiacseg[dicom]"', file=sys.stderr)
            return 2
        print(f"cardiacseg: {error}", file=sys.stderr)
        return 1
