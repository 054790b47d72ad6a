"""Options of DICOMweb services, and studies that are retrieved from one."""

import argparse
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cardiacseg.cli.terminal import say
from cardiacseg.errors import InvalidInputError

if TYPE_CHECKING:
    from cardiacseg.network.dicomweb.server import WebServer

TOKEN, PASSWORD = "CARDIACSEG_DICOMWEB_TOKEN", "CARDIACSEG_DICOMWEB_PASSWORD"
_SECRET_BYTES = 1 << 16


def is_url(text: str) -> bool:
    """Whether it is the address of a DICOMweb service and not a path."""
    return text.lower().startswith(("https://", "http://"))


def path_or_url(text: str) -> Path | str:
    """A path, or the address of a DICOMweb service as it is."""
    return text if is_url(text) else Path(text)


def add_web_options(command: argparse.ArgumentParser) -> None:
    """How to authenticate to a DICOMweb service, and whom to trust."""
    group = command.add_argument_group(
        "DICOMweb", f"Secrets come from files, or from the environment: {TOKEN} (bearer token), {PASSWORD}."
    )
    group.add_argument("--token-file", type=Path, metavar="FILE", help="file with a bearer token")
    group.add_argument("--user", metavar="NAME", help="user name for basic authentication")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="file with the password of --user")
    group.add_argument(
        "--web-ca", type=Path, metavar="PEM", help="certificates of the authorities to trust (usual ones)"
    )
    group.add_argument(
        "--web-cert", type=Path, metavar="PEM", help="client certificate, with its key or with --web-key"
    )
    group.add_argument("--web-key", type=Path, metavar="PEM", help="key of --web-cert, without a password")
    group.add_argument(
        "--allow-http", action="store_true", help="accept an address without encryption, not only on this computer"
    )


def web_server(options: argparse.Namespace, url: str) -> "WebServer":
    """The service at ``url`` with the given options and secrets. Raises ``InvalidInputError``."""
    from cardiacseg.network.dicomweb.server import WebServer

    if options.password_file is not None and options.user is None:
        raise InvalidInputError("expected --user with --password-file")
    password = None if options.user is None else _secret(options.password_file, PASSWORD)
    has_token = options.token_file is not None or options.user is None
    return WebServer(
        url,
        token=partial(_secret, options.token_file, TOKEN) if has_token else None,  # read again for each request
        user=options.user,
        password=password,
        ca=options.web_ca,
        certificate=options.web_cert,
        key=options.web_key,
        allow_http=options.allow_http,
    )


def _secret(path: Path | None, variable: str) -> str | None:
    """The content of a file, else of an environment variable, without white space around it."""
    if path is None:
        return (os.environ.get(variable) or "").strip() or None
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read(_SECRET_BYTES).strip()
    except (OSError, UnicodeDecodeError):
        raise InvalidInputError(f"{path} cannot be read; expected a file with one line of text") from None
    if not content:
        raise InvalidInputError(f"{path} is empty; expected a file with one line of text")
    return content


@contextmanager
def local_input(options: argparse.Namespace) -> Iterator[Path]:
    """The input on this computer: the path, or a private folder with the study, which is removed at the end."""
    if isinstance(options.input, Path):
        if options.study is not None:
            raise InvalidInputError("expected the address of a DICOMweb service as INPUT with --study, got a path")
        yield options.input
        return
    if options.study is None:
        raise InvalidInputError("expected --study UID with the address of a DICOMweb service, got none")
    from cardiacseg.network.dicomweb.client import retrieve_study

    server = web_server(options, options.input)
    with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="cardiacseg-retrieve-") as folder:
        count = retrieve_study(options.study, server, Path(folder), options.series)
        if not options.quiet:
            say(f"retrieved {count} files from {server.name}")
        yield Path(folder)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM, and the end of the terminal, end the program as Ctrl-C does, so that no images stay behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]  # nohup
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
