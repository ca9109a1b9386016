"""What a Service does with a cluster's network, in a stack that has none: one address before all ready replicas."""

import random
import socket
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Self

from demo.stack import StackError
from demo.stack.release import Release

LOOKED_EVERY = 1.0


class Service:
    """Listens on the loopback and passes connections on to a port of a ready replica. Use as a context manager."""

    def __init__(self, release: Release, port: int) -> None:
        self._release, self._port = release, port
        self._endpoints: list[str] = []
        self._closing = threading.Event()
        service = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                service.pass_on(self.request)

        self._server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        """HOST:PORT."""

    def __enter__(self) -> Self:
        self._look()
        for job in (self._server.serve_forever, self._keep_looking):
            threading.Thread(target=job, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def pass_on(self, client: socket.socket) -> None:
        """To the first that accepts, until one side ends; at once where none does."""
        for ip in random.sample(self._endpoints, len(self._endpoints)):
            with suppress(OSError), socket.create_connection((ip, self._port), timeout=2) as replica:
                replica.settimeout(None)
                back = threading.Thread(target=_pump, args=(replica, client), daemon=True)
                back.start()
                _pump(client, replica)
                back.join()
                return

    def _keep_looking(self) -> None:
        while not self._closing.wait(LOOKED_EVERY):
            with suppress(StackError):
                self._look()

    def _look(self) -> None:
        self._endpoints = [replica.ip for replica in self._release.replicas if replica.ready]


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
