"""TLS for DICOM: contexts for a listener and for a sender, from files in PEM format."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from cardiacseg.errors import InvalidInputError

_HANDSHAKE_S = 5.0
_ALERT_S = 1.0  # for the other side to refuse this side's certificate, which TLS 1.3 does after the handshake


@dataclass(frozen=True)
class TlsFiles:
    """This program's certificate (with the chain above it) and its key, and the authority of the other side.

    A listener needs certificate and key; with ``authority`` it accepts only clients whose certificate that authority
    signed (mutual TLS). A sender checks the other side's certificate and host name against ``authority``, without it
    against the system's authorities; it needs certificate and key only if the other side asks for them.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def __bool__(self) -> bool:
        return any((self.certificate, self.key, self.authority))

    def server_context(self) -> ssl.SSLContext:
        """For a listener: TLS 1.2 or later. Raises ``InvalidInputError``."""
        if self.certificate is None:
            raise InvalidInputError("a listener with TLS needs a certificate; expected --tls-cert and --tls-key")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load_own(context)
        if self.authority is not None:
            _load_authority(context, self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self) -> ssl.SSLContext:
        """For a sender: TLS 1.2 or later. Raises ``InvalidInputError``."""
        context = ssl.create_default_context() if self.authority is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.authority is not None:
            _load_authority(context, self.authority)
        self._load_own(context)
        return context

    def _load_own(self, context: ssl.SSLContext) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InvalidInputError("expected a certificate with its key, or none of them; got only one")
        if self.certificate is None:
            return
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except OSError as error:
            names = f"certificate {self.certificate} and its key {self.key}"
            raise InvalidInputError(f"expected a {names} in PEM format that belong together: {_why(error)}") from None


def _load_authority(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise InvalidInputError(f"expected certificates in PEM format in {path}: {_why(error)}") from None


def _no_password() -> str:
    raise OSError("the key has a password; expected a key without one, in a file that only this program can read")


def _why(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)


def handshake_fault(context: ssl.SSLContext, host: str, port: int) -> str:
    """Why there is no TLS connection to an address; empty if there is one, or if the address cannot be reached."""
    try:
        with (
            socket.create_connection((host, port), _HANDSHAKE_S) as connection,
            context.wrap_socket(connection, server_hostname=host) as encrypted,
        ):
            encrypted.settimeout(_ALERT_S)
            encrypted.recv(1)
    except ssl.SSLError as error:
        return tls_reason(error)
    except OSError:
        pass
    return ""


def tls_reason(error: BaseException | None) -> str:
    """The reason that OpenSSL gave, somewhere inside the error."""
    while error is not None and not isinstance(error, ssl.SSLError):
        inside = getattr(error, "reason", None) or next(iter(error.args), None)
        error = inside if isinstance(inside, BaseException) else None
    return getattr(error, "verify_message", "") or getattr(error, "reason", None) or "the handshake failed"
