"""A TCP proxy that acts after so many bytes: so a test breaks a store in the middle of an upload, and not about there."""

import socket
import threading


class Proxy:
    """Passes connections on to a port of 127.0.0.1. `trip(after, act)` calls `act` once, when so many more bytes went to the
    server; they are passed on only after it returned. While `mute` is set, answers are lost and their connections cut."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.lock = threading.Lock()
        self.left, self.act = 0, None
        self.tripped, self.mute, self.muted = threading.Event(), threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc) -> None:
        self.listener.close()

    def trip(self, after: int, act) -> None:
        with self.lock:
            self.tripped.clear()
            self.left, self.act = after, act

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()
        self._pump(client, server, True)

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(64 << 10):
                if counted:
                    self._count(len(data))
                elif self.mute.is_set():
                    self.muted.set()
                    break
                sink.sendall(data)
        except OSError:
            pass
        # One end's end is the other's: the store's death is seen by the node at once.
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _count(self, size: int) -> None:
        with self.lock:
            self.left -= size
            if self.act is None or self.left > 0:
                return
            act, self.act = self.act, None
        act()
        self.tripped.set()
