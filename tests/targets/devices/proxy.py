"""A TCP proxy before a server, which cuts, silences or refuses connections when a test says so."""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import suppress

from tests.targets.devices.server import free_port


class Proxy:
    """Listens on `port`. `sent`, `received`: bytes that went to the server, and that came from it, on all connections.

    `cut_after_sent`, `cut_after_received`: a connection is reset once so many bytes have gone that way, once for all.
    """

    def __init__(self, server: int) -> None:
        self.port, self._server = free_port(), server
        self.sent = self.received = self.connections = 0
        self.cut_after_sent: int | None = None
        self.cut_after_received: int | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._silent, self._closed = threading.Event(), threading.Event()
        self.listen()

    def listen(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._server))
            self._pairs.append((client, server))
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while not self._closed.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.1)
                if self._silent.is_set():
                    continue
                for source in ready:
                    piece = source.recv(1 << 14)
                    if not piece:
                        self._reset(client, server)
                        return
                    (server if source is client else client).sendall(piece)
                    if source is client:
                        self.sent += len(piece)
                    else:
                        self.received += len(piece)
                if self._due():
                    self._reset(client, server)
                    return

    def _due(self) -> bool:
        for name, count in (("cut_after_sent", self.sent), ("cut_after_received", self.received)):
            limit = getattr(self, name)
            if limit is not None and count >= limit:
                setattr(self, name, None)
                return True
        return False

    def cut(self) -> None:
        """Reset what is connected; new connections are served."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self._reset(*pair)

    def silence(self) -> None:
        """Pass nothing on any more, and close nothing: a cable that was pulled."""
        self._silent.set()

    def refuse(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        self._closed.set()
        self.refuse()
        self.cut()

    @staticmethod
    def _reset(*sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.close()
