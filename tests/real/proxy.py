"""A TCP proxy that can be broken: it refuses, or accepts and never answers, or passes on, or passes
on for a while and then falls silent."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Literal

from lib import free_ports

Mode = Literal["refuse", "mute", "stall", "pass"]
# What `stall` takes from clients, all of them together, before it falls silent.
STALL_AFTER = 1 << 20


class Proxy:
    """Stands before a loopback port. Starts refusing."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_ports(1)[0]
        self.mode: Mode = "refuse"
        self.listener: socket.socket | None = None
        self.open: list[socket.socket] = []
        self.accepted = 0
        # What `stall` still takes; 0 once sessions that were under way hang.
        self.left = 0
        self.cut = threading.Event()
        self.lock = threading.Lock()

    def set(self, mode: Mode) -> None:
        """Changes what it does; connections of the mode before are cut."""
        with self.lock:
            self.mode = mode
            self.left = STALL_AFTER
            self.cut.set()
            self.cut = threading.Event()
            for one in self.open:
                one.close()
            self.open.clear()
            if self.listener is not None:
                # Wakes the thread that accepts; no one listens from now on.
                self.listener.shutdown(socket.SHUT_RDWR)
                self.listener.close()
                self.listener = None
            if mode == "refuse":
                return
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
            self.listener.listen(64)
            threading.Thread(target=self._serve, args=(self.listener, mode), daemon=True).start()

    def _serve(self, listener: socket.socket, mode: Mode) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            with self.lock:
                self.open.append(client)
            if mode in ("pass", "stall"):
                words = (client, mode, self.cut)
                threading.Thread(target=self._pass, args=words, daemon=True).start()

    def _takes(self, size: int) -> int:
        """How many of so many bytes `stall` still passes on."""
        with self.lock:
            taken = min(size, self.left)
            self.left -= taken
            return taken

    def _pass(self, client: socket.socket, mode: Mode, cut: threading.Event) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self.lock:
            self.open.append(server)
        peers = {client: server, server: client}
        with selectors.DefaultSelector() as ready:
            try:
                for one in peers:
                    ready.register(one, selectors.EVENT_READ)
                while True:
                    for key, _ in ready.select(1):
                        one = key.fileobj
                        data = one.recv(1 << 16)  # type: ignore[union-attr]
                        if not data:
                            return
                        taken = len(data)
                        if mode == "stall" and one is client:
                            taken = self._takes(taken)
                        peers[one].sendall(data[:taken])  # type: ignore[index]
                        if taken < len(data):
                            # In the middle of what the client says; both sides stay connected.
                            cut.wait()
                            return
            except (OSError, ValueError):
                return
            finally:
                client.close()
                server.close()
