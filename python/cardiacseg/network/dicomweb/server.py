"""The address of a DICOMweb service, and how to authenticate to it."""

import ipaddress
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cardiacseg.errors import InvalidInputError


@dataclass(frozen=True)
class WebServer:
    """The root of a DICOMweb service (``https://host/dicom-web``), and how to authenticate.

    ``token``: a bearer token, or a function that gives it for each request, as tokens expire; ``user`` and
    ``password``: basic authentication; ``certificate`` and ``key``: PEM files of a client certificate (``key`` may be
    in the same file); ``ca``: a PEM file with the authorities to trust instead of the usual ones. Plain http is
    accepted for this computer, for others only with ``allow_http``. ``timeout``, in seconds, applies to the connection
    and to each wait for bytes. An action is tried ``attempts`` times if the service cannot be reached or is overloaded,
    after ``wait_s``, 2 ``wait_s``, ... or what Retry-After says. Raises ``InvalidInputError``.
    """

    url: str
    token: str | Callable[[], str | None] | None = field(default=None, repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    allow_http: bool = False
    timeout: float = 60.0
    attempts: int = 5
    wait_s: float = 0.5

    def __post_init__(self):
        _check_address(self.url)
        _check_credentials(self)
        if not self.may_use(self.url):
            raise InvalidInputError(
                f"{self.name}: expected an https address, got http, which would show images and passwords to the "
                "network; allow_http (--allow-http) accepts it"
            )

    @property
    def name(self) -> str:
        """Host and port, for messages; the path of an address may hold identifiers."""
        return urlsplit(self.url).netloc

    @property
    def root(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")

    def current_token(self) -> str | None:
        """The bearer token at this moment. Raises ``InvalidInputError``."""
        token = self.token() if callable(self.token) else self.token
        if token is not None and not (token.isascii() and token.isprintable() and token):
            raise InvalidInputError("expected a token of printable ASCII characters in one line")
        return token

    @property
    def is_local(self) -> bool:
        """Whether it is on this computer."""
        return _is_loopback(self.url)

    def may_use(self, url: str) -> bool:
        """Whether an address is encrypted, on this computer, or allowed."""
        return urlsplit(url).scheme == "https" or self.allow_http or _is_loopback(url)


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and url.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in url:
        raise InvalidInputError("expected the address of a DICOMweb service, such as https://host/dicom-web")
    if parts.username is not None or parts.password is not None:
        raise InvalidInputError("expected an address without user name and password, which every user could see")
    if parts.query or parts.fragment:
        raise InvalidInputError("expected the root of a DICOMweb service, got an address with a query or a fragment")


def _check_credentials(server: WebServer) -> None:
    if server.token is not None and (server.user is not None or server.password is not None):
        raise InvalidInputError("expected a token or a user name and password, got both")
    if (server.user is None) != (server.password is None):
        raise InvalidInputError("expected both a user name and a password, got one of them")
    server.current_token()
    if ":" in (server.user or ""):
        raise InvalidInputError("expected a user name without a colon")
    if server.key is not None and server.certificate is None:
        raise InvalidInputError("expected a client certificate beside its key, got the key alone")
    for path, what in ((server.ca, "certificates of authorities"), (server.certificate, "a client certificate")):
        if path is not None and not path.is_file():
            raise InvalidInputError(f"{path} does not exist or is not a file; expected {what} (PEM)")
    if server.ca is not None or server.certificate is not None:
        _check_certificates(server)


def _check_certificates(server: WebServer) -> None:
    try:
        context = ssl.create_default_context(cafile=server.ca)
        if server.certificate is not None:  # the empty password: OpenSSL would ask on the terminal
            context.load_cert_chain(server.certificate, server.key, password="")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        files = ", ".join(str(path) for path in (server.ca, server.certificate, server.key) if path is not None)
        raise InvalidInputError(
            f"certificates cannot be used ({reason}): {files}; expected PEM files, keys without a password"
        ) from None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
