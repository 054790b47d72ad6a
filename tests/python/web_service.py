"""A loopback HTTP service that answers as a test says, and the DICOM JSON and multipart messages that it sends."""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cardiacseg.network.dicomweb.server import WebServer

JSON = {"Content-Type": "application/dicom+json"}


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Service:
    """``answer(request)`` gives a status, headers and a body: bytes, or pieces to write as they are."""

    url: str
    requests: list[Request] = field(default_factory=list)

    def server(self, **options) -> WebServer:
        return WebServer(self.url, **{"wait_s": 0.01, "attempts": 3, "timeout": 20, **options})


@contextmanager
def serving(answer):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers), body)
            service.requests.append(request)
            status, headers, content = answer(request)
            self.send_response(status)
            length = {"Content-Length": str(len(content))} if isinstance(content, bytes) else {"Connection": "close"}
            for name, value in {**length, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in [content] if isinstance(content, bytes) else content:
                    self.wfile.write(piece)
            except ConnectionError:
                pass  # the client has heard enough

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = Service(f"http://127.0.0.1:{httpd.server_address[1]}/dicom-web")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def series_json(*rows) -> tuple[int, dict, bytes]:
    """An answer to a QIDO query: rows of UID, modality, number, instances."""
    tags = ("0020000E", "00080060", "00200011", "00201209")
    listed = [
        {tag: {"Value": [value]} for tag, value in zip(tags, row, strict=True) if value is not None} for row in rows
    ]
    return 200, JSON, json.dumps(listed).encode()


def multipart(*parts, end=b"--", boundary=b"cut"):
    head = b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + part + b"\r\n" for part in parts) + b"--" + boundary + end
    return 200, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=cut'}, body


def stow_json(stored=(), failed=(), status=200, **headers):
    """An answer to STOW-RS; ``stored`` are UIDs or pairs with a warning, ``failed`` UIDs with a reason."""

    def item(uid, **numbers):
        values = {"00081155": {"vr": "UI", "Value": [uid]}}
        return values | {tag: {"vr": "US", "Value": [number]} for tag, number in numbers.items()}

    done = [item(one) if isinstance(one, str) else item(one[0], **{"00081196": one[1]}) for one in stored]
    document = {
        "00081199": {"vr": "SQ", "Value": done},
        "00081198": {"vr": "SQ", "Value": [item(uid, **{"00081197": reason}) for uid, reason in failed]},
    }
    return status, {**JSON, **headers}, json.dumps(document).encode()
