"""A web server on loopback that serves files from memory, well or badly, as told."""

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """Files by path, and how they are served; every request is noted."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    redirects: Mapping[str, str] = field(default_factory=dict)
    """Beginnings of paths, and where they lead."""
    ignores_range: bool = False
    shifted: int = 0
    """The range sent begins so many bytes later than the one asked for."""
    announces: int = 0
    """So many bytes more than what is sent."""
    cuts: int | None = None
    """Ends the connection after so many bytes."""
    hangs_after: int | None = None
    """Goes silent after so many bytes."""
    status: int | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    grows: bool = False
    """The file has another size with every request."""
    keeps: bool = True
    """Keeps connections open."""
    address: str = ""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    connections: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """The site at ``site.address`` for a while."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if site.keeps else "HTTP/1.0"

        def setup(self) -> None:
            super().setup()
            site.connections += 1

        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            site.seen.append((self.path, dict(self.headers)))
            try:
                _answer(self, site)
            except OSError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        site.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    for begin, target in site.redirects.items():
        if handler.path.startswith(begin):
            handler.send_response(302)
            handler.send_header("Location", target.replace("{rest}", handler.path[len(begin) :]))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
    data = site.files.get(handler.path)
    if data is None or site.status is not None:
        handler.send_response(site.status or 404)
        for name, value in site.extra.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    if site.grows:
        data += b"!" * len(site.seen)
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
    if found is None or site.ignores_range:
        handler.send_response(200)
        _send(handler, site, data)
        return
    first, last = int(found[1]) + site.shifted, min(int(found[2]) + site.shifted, len(data) - 1)
    if first > last:
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(data)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
    _send(handler, site, data[first : last + 1])


def _send(handler: BaseHTTPRequestHandler, site: Site, data: bytes) -> None:
    for name, value in site.extra.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(data) + site.announces))
    handler.end_headers()
    if site.hangs_after is not None:
        handler.wfile.write(data[: site.hangs_after])
        handler.wfile.flush()
        site.stop.wait()
        handler.close_connection = True
    elif site.cuts is not None:
        handler.wfile.write(data[: site.cuts])
        handler.close_connection = True
    else:
        handler.wfile.write(data)


@dataclass
class Dripping:
    """A server on loopback that never ends what it sends, and is never silent: a byte every few milliseconds."""

    begins: bytes = b""
    """What it sends at once."""
    port: int = 0
    heard: bytes = b""
    """What came over all connections, or most of it."""
    connections: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    """The other side has gone."""


@contextmanager
def dripping(server: Dripping) -> Iterator[Dripping]:
    """The server at ``port`` for a while."""
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            with connection:
                try:
                    server.heard += connection.recv(4096)
                    connection.sendall(server.begins)
                    while not stop.wait(0.005):
                        connection.sendall(b"x")
                except OSError:
                    server.left.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
