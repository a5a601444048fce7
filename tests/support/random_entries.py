"""Entries of every kind there is, by the hundred thousand: whole XADD commands as bytes, put
together from parts that are encoded once, and sent without waiting for each answer."""

import random
import socket
import threading
import time

from line.line import STREAM

RECENT = 30_000
SENT_TOGETHER = 500
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
METRICS = ["api_calls", "api_calls", "llm_tokens", "agent_executions", "storage_gb", "user_seats"]
QUANTITIES = ["0", "1", "2", "-1", "1.5", "001.50", "0.000000001", "-0", "7777",
              "999999999999999999.999999999", "-999999999999999999.999999999"]
NO_QUANTITIES = ["", "-", ".5", "5.", "1e5", "0x10", "nan", "inf", "+1", "1_000", " 1", "1,5",
                 "1234567890123456789", "0.1234567891", "9" * 400, "\0"]
NO_TIMES = ["", "now", "1.5", "-", "99999999999999999999", "1763722800000ms", "0x1"]
NO_TEXTS = [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf", b"a\0b",
            b"\xe6\x97", b"\x80" * 70]
NOTES = ["", "eu", "large", "ü", "日本", "👍", '"', "\\", "a\nb", "\x7f", "\u2028", "v" * 256]
LONG = b"z" * 70_000
HUGE = b"\xc3\xbc" * 1_500_000


def word(text):
    data = text if isinstance(text, bytes) else str(text).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


XADD = word("XADD") + word(STREAM) + word("*")


def command(fields):
    return b"*%d\r\n%b%b" % (3 + 2 * len(fields), XADD, b"".join(fields.values()))


class RandomEntries:
    """Commands in an order that the seed gives alone, but for the times, which are about now."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now_ms = int(time.time() * 1000)
        self.number = 0
        self.recent = [self.good() for _ in range(100)]  # A dictionary of encoded fields each.
        self.tenants = [word("tenant") + word(name) for name in
                        [*(f"tenant-{n:03}" for n in range(60)), "ünïcode", "a{b}", "T" * 128]]
        self.metrics = [word("metric") + word(name) for name in METRICS]
        self.quantities = [word("quantity") + word(text) for text in QUANTITIES]
        self.notes = [word("note") + word(text) for text in NOTES]
        self.spoilers = [self.without_field, self.field_twice, self.not_text, self.no_quantity,
                         self.no_time, self.too_old, self.in_future, self.unknown_metric,
                         self.too_large, self.odd_name, self.too_many, self.retraction, self.noise]

    def commands(self, count):
        roll = self.random.random
        for _ in range(count):
            chance = roll()
            if chance < 0.60:
                fields = self.good()
                self.keep(fields)
            elif chance < 0.72:
                fields = self.random.choice(self.recent)
            elif chance < 0.80:
                fields = self.changed(self.random.choice(self.recent))
            else:
                fields = self.random.choice(self.spoilers)(self.good())
            yield command(fields)

    def keep(self, fields):
        if len(self.recent) < RECENT:
            self.recent.append(fields)
        else:
            self.recent[self.number % RECENT] = fields

    def good(self):
        roll = self.random.random
        self.number += 1
        fields = {"tenant": self.pick("tenants", "acme"), "metric": self.pick("metrics", "api_calls")}
        if roll() < 0.9:
            fields["quantity"] = self.pick("quantities", "1")
        if roll() < 0.9:
            fields["id"] = word("id") + word("%032x" % self.random.getrandbits(128)
                                             if self.number % 2 else self.uuid())
        if roll() < 0.8:
            fields["ts"] = word("ts") + word(self.now_ms - int(roll() * 5 * MINUTE_MS))
        if roll() < 0.2:
            fields["note"] = self.pick("notes", "")
        return fields

    def pick(self, name, fallback):
        known = getattr(self, name, None)
        return known[int(self.random.random() * len(known))] if known else (
            word({"tenants": "tenant", "metrics": "metric"}.get(name, "quantity")) + word(fallback))

    def uuid(self):
        digits = "%032x" % self.random.getrandbits(128)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def changed(self, fields):
        """Another content under the same id, where it has one."""
        return {**fields, "quantity": word("quantity") + word(self.random.randrange(10**9))}

    # What makes an event bad.

    def without_field(self, fields):
        del fields[self.random.choice(["tenant", "metric"])]
        return fields

    def field_twice(self, fields):
        return {**fields, "again": self.random.choice(list(fields.values()))}

    def not_text(self, fields):
        name = self.random.choice(["tenant", "id", "note", "ts", "metric"])
        return {**fields, name: word(name) + word(self.random.choice(NO_TEXTS))}

    def no_quantity(self, fields):
        return {**fields, "quantity": word("quantity") + word(self.random.choice(NO_QUANTITIES))}

    def no_time(self, fields):
        return {**fields, "ts": word("ts") + word(self.random.choice(NO_TIMES))}

    def too_old(self, fields):
        old = self.now_ms - self.random.choice([36, 400, 19_000]) * DAY_MS
        return {**fields, "ts": word("ts") + word(old)}

    def in_future(self, fields):
        late = self.now_ms + self.random.choice([120, 10**6, 10**9]) * MINUTE_MS
        return {**fields, "ts": word("ts") + word(late)}

    def unknown_metric(self, fields):
        name = self.random.choice(["unheard_of", "API", "", "m" * 65, "api-calls", "a\0"])
        return {**fields, "metric": word("metric") + word(name)}

    def too_large(self, fields):
        name = self.random.choice(["tenant", "id", "note", "metric", "quantity", "ts"])
        size = self.random.choice([129, 256, 257, 999, 1000, 1001])
        value = LONG if self.random.random() < 0.02 else LONG[:size]
        if self.random.random() < 0.0003:
            value = HUGE
        return {**fields, name: word(name) + word(value)}

    def odd_name(self, fields):
        name = self.random.choice([b"", b"Upper", b"a b", b"\xff\xff", b"n" * 65, b"a\0", LONG[:5000]])
        return {**fields, "odd": word(name) + word("x")}

    def too_many(self, fields):
        return {**fields, **{n: word(f"more_{n}") + word("x")
                             for n in range(self.random.choice([15, 16, 17, 100]))}}

    def retraction(self, fields):
        known = self.random.choice(self.recent) if self.random.random() < 0.5 else fields
        return {**known, "op": word("op") + word(self.random.choice(["retract", "retract", "", "x"]))}

    def noise(self, _):
        return {n: word(self.random.randbytes(self.random.randrange(20)))
                   + word(self.random.randbytes(self.random.randrange(60)))
                for n in range(self.random.randrange(1, 8))}


def send(line, commands):
    """All of them, over one connection; returns how many Redis took."""
    taken = [0]
    with socket.create_connection(("127.0.0.1", line.redis.port)) as connection:
        reader = threading.Thread(target=count_ids, args=(connection, taken))
        reader.start()
        batch = []
        for one in commands:
            batch.append(one)
            if len(batch) == SENT_TOGETHER:
                connection.sendall(b"".join(batch))
                batch.clear()
        connection.sendall(b"".join(batch) + b"PING\r\n")
        reader.join()
    return taken[0]


def count_ids(connection, taken):
    """Each answer is an id, "$15\\r\\n…", the last one +PONG; an error would have no "$"."""
    answers = b""
    while not answers.endswith(b"+PONG\r\n"):
        more = connection.recv(1 << 16)
        if not more:
            return
        taken[0] += more.count(b"$")
        answers = answers[-10:] + more
