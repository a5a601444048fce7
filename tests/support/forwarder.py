"""A TCP port in between, which can be cut, led elsewhere, held up and listened to."""

import contextlib
import socket
import threading
import time


class Forwarder:
    """with Forwarder(port) as forwarder: … forwarder.port leads to port, until it is cut().

    delay_s: how long each piece of data rests here, both ways.
    watch:   called with (forwarder, data, sink) for what goes to the target; it returns what is
             still to be sent on, and may cut() or stall() meanwhile."""

    def __init__(self, target):
        self.target = target
        self.delay_s = 0
        self.watch = None
        self.sockets = []
        self._flowing = threading.Event()
        self._flowing.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *failure):
        self.cut()
        self._flowing.set()
        # Else accept() would sleep on, and keep the port open.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def cut(self, target=None):
        """Ends all connections; new ones go to target, or nowhere."""
        self.target = target
        sockets, self.sockets = self.sockets, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def stall(self):
        """Connections stay open and new ones are accepted, but nothing passes, either way."""
        self._flowing.clear()

    def resume(self):
        self._flowing.set()

    def wait_flowing(self):
        self._flowing.wait()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target or 1))
            except OSError:
                near.close()
                continue
            self.sockets = [each for each in self.sockets if each.fileno() >= 0] + [near, far]
            pumps = [threading.Thread(target=self._pump, args=(*pair, upward), daemon=True)
                     for pair, upward in (((near, far), True), ((far, near), False))]
            threading.Thread(target=self._carry, args=(pumps, near, far), daemon=True).start()

    @staticmethod
    def _carry(pumps, near, far):
        """Both ways, until both have ended."""
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        near.close()
        far.close()

    def _pump(self, source, sink, upward):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.delay_s:
                    time.sleep(self.delay_s)
                self._flowing.wait()
                watch = self.watch
                if upward and watch:
                    data = watch(self, data, sink)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
