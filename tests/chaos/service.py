"""A service that sends without pause: raw speed, pipelined, and whatever was not acknowledged again,
in the same order. Its connection may be cut, its Redis killed."""

import contextlib
import marshal
import threading
import time

import redis

from .catalog import stream_of, streams
from .journal import add_command, read_journal

ANSWER_S = 3            # Then the outcome is unknown, and a new connection tries again.
WAITING_MAX = 5000      # Entries in the streams: past that a service holds back.
PIPELINES = [1, 5, 30, 100, 300, 800]
LOST = (redis.ConnectionError, redis.TimeoutError, OSError)


class Service(threading.Thread):
    """with Service(…) as service: … ; afterwards everything that it sent was acknowledged.

    sent[n] is the n-th entry, packed; the journal calls it "<number>:<n>"."""

    def __init__(self, number, usage, port, shards, per_s):
        super().__init__(daemon=True, name=f"service {number}")
        self.number, self.usage, self.port, self.shards = number, usage, port, shards
        self.rest_s = 1 / per_s
        self.sent = []
        self.targets = []       # sent[n]'s stream
        self.made_ms = []       # when sent[n] was made
        self.retries = self.sent_again = 0
        self.error = None
        self.sending = threading.Lock()  # Whoever holds it knows that nothing is on its way.
        self.losses = self.seen_losses = 0
        self.connection = None
        self.ending = threading.Event()

    def run(self):
        try:
            while not self.ending.is_set():
                began = time.monotonic()
                entries = self.usage.burst(self.usage.choose.choice(PIPELINES))
                waiting = self.deliver(self.note(entries))
                rest_s = len(entries) * self.rest_s * (10 if waiting > WAITING_MAX else 1)
                self.ending.wait(rest_s - (time.monotonic() - began))
            self.deliver([])
        except Exception as error:  # For the main thread, which looks.
            self.error = error
        finally:
            self.disconnect()

    def note(self, entries):
        first, now_ms = len(self.sent), int(time.time() * 1000)
        for pairs in entries:
            tenant = next((value for name, value in pairs if name == "tenant"), "")
            self.targets.append(self.stream_for(tenant))
            self.sent.append(marshal.dumps(pairs))
            self.made_ms.append(now_ms)
        return range(first, len(self.sent))

    def stream_for(self, tenant):
        """The right one always: from another, aggregators would move it, and write entries themselves."""
        return stream_of(tenant, self.shards)

    def deliver(self, numbers):
        """Sends until all of them are acknowledged: the number of entries that wait in the streams."""
        pending = list(numbers)
        while True:
            with self.sending:
                try:
                    self.connect()
                    if self.losses != self.seen_losses:
                        losses = self.losses
                        pending = self.lacking()
                        self.seen_losses = losses
                    return self.send(pending)
                except LOST:
                    self.retries += 1
                    self.disconnect()
            time.sleep(0.05)

    def send(self, pending):
        """Takes what was acknowledged out of pending, also when it fails."""
        lengths = [("XLEN", stream) for stream in streams(self.shards)]
        commands = [add_command(self.targets[n], f"{self.number}:{n}", marshal.loads(self.sent[n]))
                    for n in pending]
        self.connection.send_packed_command(self.connection.pack_commands([*commands, *lengths]))
        acknowledged = 0
        try:
            for n in list(pending):
                entry_id = self.connection.read_response()
                if not self.usage.certain:
                    self.usage.note_entry(marshal.loads(self.sent[n]), self.targets[n], entry_id)
                acknowledged += 1
            return sum(int(self.connection.read_response()) for _ in lengths)
        finally:
            del pending[:acknowledged]

    def lacking(self):
        """Redis lost entries: those of ours that it has not, in the order of sending."""
        with redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True, socket_timeout=30) as client:
            there = {note for stream in streams(self.shards)
                     for note, _ in read_journal(client, stream)}
        lacking = [n for n in range(len(self.sent)) if f"{self.number}:{n}" not in there]
        self.sent_again += len(lacking)
        return lacking

    def connect(self):
        if self.connection is None:
            self.connection = redis.Connection(host="127.0.0.1", port=self.port, socket_timeout=ANSWER_S,
                                               socket_connect_timeout=ANSWER_S,
                                               decode_responses=True)
            self.connection.connect()

    def disconnect(self):
        with contextlib.suppress(*LOST):
            if self.connection:
                self.connection.disconnect()
        self.connection = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        self.end()

    def end(self):
        """To be called when nothing is in its way any more."""
        self.ending.set()
        self.join(60)
        if self.error:
            raise self.error
        assert not self.is_alive(), f"{self.name} cannot deliver"
