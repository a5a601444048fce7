"""HTTP/1.1 on an asyncio protocol.

Written by hand instead of taken from a framework because the faults need the connection itself: to
close it after a request was applied, to never answer, to notice that a client left. One request of
a connection is worked on at a time; pipelined bytes wait in the buffer.
"""
import asyncio
import os
import socket
from http import HTTPStatus

from .call import Answer, Call

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 4 * 1024 * 1024
REASONS = {s.value: s.phrase for s in HTTPStatus}


class BadMessage(Exception):
    pass


def parse_head(head):
    """The request line and the headers, names in lower case."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadMessage("request line")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadMessage("header line")
        headers[name.lower()] = value.strip()
    return parts[0], parts[1], parts[2], headers


def take_chunked(buffer):
    """(body, rest) of a chunked body, or None while it is incomplete."""
    body, at = bytearray(), 0
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        try:
            size = int(buffer[at:line_end].split(b";")[0], 16)
        except ValueError:
            raise BadMessage("chunk size")
        at = line_end + 2
        if size == 0:
            end = buffer.find(b"\r\n", at)
            return None if end < 0 else (bytes(body), buffer[end + 2:])
        if len(buffer) < at + size + 2:
            return None
        body += buffer[at:at + size]
        at += size + 2


class Connection(asyncio.Protocol):
    def __init__(self, api, loop):
        self.api, self.loop = api, loop
        self.transport = None
        self.buffer = b""
        self.call = None        # the request that is being worked on
        self.head = None        # (raw head, parsed head) while the body is still arriving

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer = self.buffer + data if self.buffer else data
        if self.call is None:
            self.read_call()

    def eof_received(self):
        """A client that leaves gets no answer; what it asked for goes on, as it would at Stripe."""
        if self.call is None:
            return False
        self.call.gone = True
        self.call.left()
        return True

    def has_left(self):
        """Is the client gone, though the loop has not come to tell us?"""
        try:
            with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as s:
                return s.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def connection_lost(self, exc):
        if self.call is not None:
            self.call.gone = True
            self.call.left()
            self.call = None

    def read_call(self):
        try:
            call = self.parse()
        except BadMessage as e:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                                 b"Content-Length: 0\r\n\r\n")
            self.transport.close()
            self.api.world.complain("bad request: %s" % e)
            return
        if call is not None:
            self.call = call
            self.api.handle(call)

    def parse(self):
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > MAX_HEAD_BYTES:
                    raise BadMessage("head too large")
                return None
            raw = self.buffer[:end]
            self.head = raw, parse_head(raw.lstrip(b"\r\n"))
            self.buffer = self.buffer[end + 4:]
            if self.head[1][3].get("expect", "").lower() == "100-continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        raw, (method, target, version, headers) = self.head
        if headers.get("transfer-encoding", "").lower() == "chunked":
            taken = take_chunked(self.buffer)
            if taken is None:
                return None
            body, self.buffer = taken
        else:
            try:
                length = int(headers.get("content-length", 0))
            except ValueError:
                raise BadMessage("content-length")
            if not 0 <= length <= MAX_BODY_BYTES:
                raise BadMessage("body too large")
            if len(self.buffer) < length:
                return None
            body, self.buffer = self.buffer[:length], self.buffer[length:]
        self.head = None
        path, _, query = target.partition("?")
        call = Call(self, method, path, query, headers, body, raw)
        call.keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        return call

    def answer(self, call, answer: Answer, date):
        if call is not self.call:
            return              # the client left
        self.call = None
        head = ["HTTP/1.1 %d %s\r\nContent-Length: %d\r\nDate: %s\r\nRequest-Id: %s\r\n" % (
            answer.status, REASONS.get(answer.status, "Unknown"), len(answer.body), date,
            call.request_id)]
        if not any(name.lower() == "content-type" for name in answer.headers):
            head.append("Content-Type: application/json\r\n")
        head += ["%s: %s\r\n" % pair for pair in answer.headers.items()]
        head.append("\r\n" if call.keep else "Connection: close\r\n\r\n")
        self.transport.write("".join(head).encode("latin-1") + answer.body)
        if not call.keep:
            self.transport.close()
        elif call.close_idle_ms is not None:
            self.transport.pause_reading()
            self.loop.call_later(call.close_idle_ms / 1000, self.transport.abort)
        elif self.buffer:
            self.loop.call_soon(self.read_next)

    def read_next(self):
        if self.call is None:
            self.read_call()

    def drop(self):
        """Close without a word: the client sees a reset or an end of file, never an answer."""
        self.call = None
        self.transport.abort()
