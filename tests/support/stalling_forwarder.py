"""A port in front of PostgreSQL that stalls in the middle of a large transaction: what a process that
is frozen while it sends has sent by then, byte for byte."""

import contextlib
import socket
import struct
import threading

from support.forwarder import Forwarder

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class StallingForwarder(Forwarder):
    """arm(): the next pipeline of at least so many bytes is let through but for its last messages,
    and from then on nothing is, until release()."""

    def __init__(self, target):
        super().__init__(target)
        self.stalled = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._armed = None

    def database_url(self, url):
        return url.replace(f":{self.target}/", f":{self.port}/")

    def arm(self, least_bytes, held_back):
        self._armed = (least_bytes, held_back)

    def release(self):
        self._open.set()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self.sockets += [near, far]
            threading.Thread(target=self._send_messages, args=(near, far), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, False), daemon=True).start()

    def _send_messages(self, near, far):
        with contextlib.suppress(OSError, EOFError):
            self._send_startup(near, far)
            pipeline = []
            while True:
                head = read(near, 5)
                pipeline.append(head + read(near, struct.unpack("!I", head[1:])[0] - 4))
                # Sync ends a pipeline; anything that is small goes on at once.
                if head[:1] == b"S" or self._armed is None:
                    self._send_pipeline(far, pipeline)
                    pipeline = []
        for end in (near, far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _send_startup(near, far):
        while True:
            head = read(near, 8)
            length, code = struct.unpack("!II", head)
            far.sendall(head + read(near, length - 8))
            if code not in (SSL_REQUEST, GSS_REQUEST):
                return

    def _send_pipeline(self, far, pipeline):
        self._open.wait()
        armed = self._armed
        if armed and sum(map(len, pipeline)) >= armed[0]:
            self._armed = None
            far.sendall(b"".join(pipeline[:-armed[1]]))
            self._open.clear()
            self.stalled.set()
            self._open.wait()
            pipeline = pipeline[-armed[1]:]
        far.sendall(b"".join(pipeline))


def read(source, count):
    data = b""
    while len(data) < count:
        more = source.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data
