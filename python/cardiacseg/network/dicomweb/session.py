"""Requests to one DICOMweb service: credentials, redirects, retries, bounded answers, errors in one sentence."""

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from cardiacseg.errors import InvalidInputError, NetworkError
from cardiacseg.io.log_suppression import suppress_logs
from cardiacseg.network.dicomweb.server import WebServer
from cardiacseg.network.tls import tls_reason

T = TypeVar("T")
_AGAIN = {408, 429, 500, 502, 503, 504}
_LONGEST_WAIT_S = 60.0
_ANSWER_BYTES = 64 << 20  # of an answer that is no multipart message
_HINTS = {
    401: "; the token, the user name, the password or the client certificate is missing or not accepted",
    403: "; this user may not do it",
    404: "; the address or the study is not there",
    413: "; it, or a proxy in front of it, limits the size of a request",
}


class TruncatedError(Exception):
    """A multipart message without its end, or without the end of a part's header."""


class TooLargeError(NetworkError):
    """A request that is larger than a service accepts (413)."""


class WebSession(requests.Session):
    """Requests to one service; also a context manager. Credentials are not sent to other hosts.

    Redirects to other hosts are followed for reading only; one that leaves https is refused.
    """

    def __init__(self, server: WebServer):
        super().__init__()
        self._server = server
        # As requests writes it: in small letters, international names in ASCII.
        self._host = urlsplit(requests.Request("GET", server.root).prepare().url).netloc
        self.verify = True if server.ca is None else str(server.ca)
        if server.certificate is not None:
            self.cert = str(server.certificate) if server.key is None else (str(server.certificate), str(server.key))
        self.auth = partial(_authenticate, server)
        self.trust_env = not server.is_local  # proxies
        self.mount("https://", _BoundedAdapter())
        self.mount("http://", _BoundedAdapter())
        self._quiet = ExitStack()

    def __enter__(self) -> "WebSession":
        self._quiet.enter_context(suppress_logs("urllib3.connectionpool"))  # lines with addresses
        return self

    def __exit__(self, *error: object) -> None:
        self._quiet.close()
        self.close()

    def merge_environment_settings(self, url: str, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """As in requests, but REQUESTS_CA_BUNDLE does not replace the server's ``ca``."""
        return super().merge_environment_settings(url, proxies, stream, self.verify if verify is None else verify, cert)

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """As in requests, which also sends redirected requests by it; other hosts do not see the client certificate."""
        if urlsplit(request.url).netloc != self._host:
            settings["cert"] = None
        return super().send(request, **settings)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """As in requests, for redirects that may be followed. Raises ``NetworkError`` for others."""
        target = super().get_redirect_target(resp)
        refusal = None if target is None else self._why_not(resp, target)
        if refusal is not None:
            resp.close()
            raise NetworkError(f"{self.name} redirects {refusal}")
        return target

    def _why_not(self, resp: requests.Response, target: str) -> str | None:
        if resp.request.method != "GET":
            return "what is stored; give the address that it redirects to"
        try:
            usable = self._server.may_use(urljoin(resp.url, target))
        except ValueError:
            return "to something that is no address"
        return None if usable else "to an address without encryption"

    @property
    def name(self) -> str:
        """As :attr:`WebServer.name`."""
        return self._server.name

    def ask(self, method: str, path: str, **settings: Any) -> requests.Response:
        """One request below the root. Raises requests' errors, also for an answer that is no success."""
        response = self.request(method, f"{self._server.root}/{path}", timeout=self._server.timeout, **settings)
        if not response.ok:
            response.close()
        response.raise_for_status()
        return response

    def again(self, action: Callable[[], T]) -> T:
        """The result of ``action``, which may run several times. Raises ``NetworkError`` with one sentence."""
        attempt = 1
        while True:
            try:
                return action()
            except (requests.RequestException, TruncatedError) as error:
                if attempt == self._server.attempts or not _may_pass(error):
                    kind = TooLargeError if _status(error) == 413 else NetworkError
                    raise kind(_sentence(self._server, error)) from None
                time.sleep(_wait_s(error, self._server.wait_s * 2 ** (attempt - 1)))
                attempt += 1


def _authenticate(server: WebServer, request: requests.PreparedRequest) -> requests.PreparedRequest:
    try:
        token = server.current_token()
    except InvalidInputError as error:  # it was usable before, and may be so again
        raise NetworkError(str(error)) from None
    if token is not None:
        request.headers["Authorization"] = f"Bearer {token}"
    elif server.user is not None:
        pair = b64encode(f"{server.user}:{server.password}".encode()).decode()
        request.headers["Authorization"] = f"Basic {pair}"
    return request


class _BoundedAdapter(HTTPAdapter):
    """Limits the size of an answer that requests holds in memory: all but those that are asked for in pieces."""

    def send(self, *arguments: Any, **settings: Any) -> requests.Response:
        response = super().send(*arguments, **settings)
        if not (settings.get("stream") and response.status_code < 300):
            response.iter_content = partial(_bounded, response, response.iter_content)
        return response


def _bounded(
    response: requests.Response, iter_content: Callable[..., Iterator[bytes]], *arguments: Any, **settings: Any
) -> Iterator[bytes]:
    size = 0
    for piece in iter_content(*arguments, **settings):
        size += len(piece)
        if size > _ANSWER_BYTES:
            response.close()
            name = urlsplit(response.url).netloc
            raise NetworkError(f"{name}: expected an answer of at most {_ANSWER_BYTES >> 20} MiB, got more")
        yield piece


def _status(error: Exception) -> int:
    """The status of an answer that is no success; 0 for other errors."""
    return error.response.status_code if isinstance(error, requests.HTTPError) else 0


def _may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed."""
    if isinstance(error, requests.HTTPError):
        return error.response.status_code in _AGAIN
    broken = requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, TruncatedError
    return isinstance(error, broken) and not isinstance(error, requests.exceptions.SSLError)


def _wait_s(error: Exception, default: float) -> float:
    """What Retry-After says, in seconds or as a date, else ``default``; at most a minute."""
    said = error.response.headers.get("Retry-After", "") if isinstance(error, requests.HTTPError) else ""
    if said.isdecimal():
        default = float(said)
    elif said:
        with suppress(ValueError, TypeError):
            default = (parsedate_to_datetime(said) - datetime.now(timezone.utc)).total_seconds()
    return min(max(default, 0.0), _LONGEST_WAIT_S)


def _sentence(server: WebServer, error: Exception) -> str:
    """Without addresses, headers and bodies, which hold identifiers and tokens."""
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "an unknown status"
        return f"{server.name} answered {status} {phrase}{_HINTS.get(status, '')}"
    if isinstance(error, requests.exceptions.SSLError):
        return f"{server.name}: no TLS connection: {tls_reason(error)}"
    if isinstance(error, requests.Timeout):
        return f"{server.name} did not answer within {server.timeout:g} s"
    if isinstance(error, requests.TooManyRedirects):
        return f"{server.name} redirects in a circle"
    if isinstance(error, (TruncatedError, requests.exceptions.ChunkedEncodingError)):
        return f"{server.name} sent an incomplete answer, in {server.attempts} attempts"
    if isinstance(error, requests.ConnectionError):
        return f"{server.name} cannot be reached, or ends the connection, in {server.attempts} attempts"
    return f"{server.name} gave an answer that cannot be read ({type(error).__name__})"
