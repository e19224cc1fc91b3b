"""HTTP under the small Hub: routes, bodies, tokens, and connections that break off when they are told to."""

import json
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from .store import HttpError, User

if TYPE_CHECKING:
    from .hub import LoopbackHub

ROUTES: list[tuple[str, re.Pattern, str]] = []


def route(method: str, pattern: str) -> Callable:
    """Register the method below for requests whose whole path matches."""

    def register(function: Callable) -> Callable:
        ROUTES.append((method, re.compile(pattern), function.__name__))
        return function

    return register


@dataclass
class Fault:
    """What goes wrong with the requests of a kind: a status instead of an answer, or a break in the middle."""

    method: str
    path: str
    times: int
    status: int | None = None
    then: Callable[[], object] = lambda: None


class Connection(BaseHTTPRequestHandler):
    """Reads the requests of a client, hands each to its route and sends what that returns."""

    hub: "LoopbackHub"
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        """Say nothing on stderr."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def answer(self) -> None:
        """Find the route, read the request, send what the route returns."""
        split = urlsplit(self.path)
        self.query = {key: values[-1] for key, values in parse_qs(split.query).items()}
        self.fault = self.hub.fault(self.command, split.path)
        if self.fault and not self.fault.status and self.command not in ("GET", "HEAD"):
            self.rfile.read(int(self.headers.get("Content-Length", 0)) // 2)
            return self.break_off(self.fault)
        self.body = self.read_body()
        try:
            if self.fault and self.fault.status:
                raise HttpError(self.fault.status, "The server is told to refuse this")
            result = self.run(split.path)
        except HttpError as refusal:
            result = self.json({"error": refusal.message, **refusal.more}, refusal.status)
            self.hub.requests.append((f"{self.command} {split.path}", refusal.status))
            headers = {"X-Error-Message": refusal.message} | ({"X-Error-Code": refusal.code} if refusal.code else {})
            return self.send(*result, headers)
        self.hub.requests.append((f"{self.command} {split.path}", 200))
        status, content, headers = (*(result if isinstance(result, tuple) else self.json(result)), {})[:3]
        return self.send(status, content, headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def run(self, path: str):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.user: User | None = self.hub.tokens.get(token)
        if token and not self.user:
            raise HttpError(401, "Invalid credentials in Authorization header")
        for method, pattern, name in ROUTES:
            found = pattern.fullmatch(path)
            if found and self.command in (method, "HEAD" if method == "GET" else method):
                groups = {key: unquote(value) for key, value in found.groupdict().items() if value is not None}
                if "kind" in pattern.groupindex:
                    self.repo = self.find(groups.pop("kind", "models"), groups.pop("name"))
                with self.hub.lock:
                    return getattr(self, name)(**groups)
        raise HttpError(404, f"Cannot {self.command} {path}")

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def data(self) -> dict:
        if "urlencoded" in self.headers.get("Content-Type", ""):
            return parse_qs(self.body.decode())
        return json.loads(self.body or b"{}")

    def json(self, value, status: int = 200) -> tuple[int, bytes]:
        return status, json.dumps(value).encode()

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault and not self.fault.status:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            return self.break_off(self.fault)
        self.hub.bytes_sent += len(content)
        self.wfile.write(content)

    def break_off(self, fault: Fault) -> None:
        fault.then()
        self.close_connection = True
        with suppress(OSError):  # the client may have been quicker
            self.connection.shutdown(socket.SHUT_RDWR)
