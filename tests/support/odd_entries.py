"""Random entries, most of them malformed in some way, one by one."""

import random

from line.line import STREAM
from support.aggregator import now_ms
from support.usage_oracle import AGE_MAX_MS, FUTURE_MAX_MS

NAMES = ["model", "region", "note", "d0", "d1", "x_1"]
VALUES = ["", "large", "small", "eu", "us", "ü", "日本", "a\nb", '"', "\\", "\x7f", "\u2028", "👍",
          "\ufffe", "0", "\t", "v" * 256]
TENANTS = [*(f"t{n}" for n in range(30)), "ünïcode", "with space", '"quoted"', "a{b}", "T" * 128]
QUANTITIES = ["0", "1", "-1", "1.5", "01.50", "1.500000000", "-0", "0.000000001", "2", "2.0", "3",
              "999999999999999999.999999999", "-999999999999999999.999999999"]


class Chaos:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now = now_ms()
        self.sent = []
        self.entry_ids = []

    def entry(self):
        roll = self.random.random()
        if roll < 0.15 and self.sent:
            return self.shuffled(self.again())
        if roll < 0.25:
            return self.shuffled(self.retraction())
        fields = self.good()
        if roll > 0.8:
            fields = self.spoiled(fields)
        self.sent.append(fields)
        return self.shuffled(fields)

    def good(self):
        pick = self.random
        fields = {"tenant": pick.choice(TENANTS),
                  "metric": pick.choice(["tokens", "tokens", "logins", "peak", "seats"])}
        if pick.random() < 0.9:
            fields["quantity"] = pick.choice(QUANTITIES)
        if pick.random() < 0.8:
            fields["id"] = pick.choice([str(pick.randrange(6000)), f"ü-{pick.randrange(6000)}",
                                        "%032x" % pick.getrandbits(128),
                                        "6f9619ff-8b86-d011-b42d-%012x" % pick.randrange(600)])
        if pick.random() < 0.7:
            fields["ts"] = str(self.now + pick.choice([
                0, -pick.randrange(300_000), -pick.randrange(AGE_MAX_MS - 600_000),
                pick.randrange(FUTURE_MAX_MS - 120_000)]))
        for name in pick.sample(NAMES, pick.randrange(4)):
            fields[name] = pick.choice(VALUES)
        return list(fields.items())

    def again(self):
        """An entry sent before, as it was or a little changed."""
        fields = dict(self.random.choice(self.sent[-3000:]))
        change = self.random.randrange(5)
        if change == 0:
            fields["ts"] = str(self.now - self.random.randrange(1000))
        elif change == 1:
            fields[self.random.choice(NAMES)] = self.random.choice(VALUES)
        elif change == 2:
            fields["quantity"] = self.random.choice(QUANTITIES)
        return list(fields.items())

    def retraction(self):
        """A retraction: of an event sent before, or of an id that may not exist."""
        pick = self.random
        fields = dict(pick.choice(self.sent)) if self.sent else {"tenant": "t0"}
        fields = {name: value for name, value in fields.items() if name in ("tenant", "id", "metric")}
        if pick.random() < 0.1 or "id" not in fields:
            fields["id"] = str(pick.randrange(6000))
        if pick.random() < 0.3 and self.entry_ids:
            fields["id"] = f"{STREAM}/{pick.choice(self.entry_ids)}"
        if pick.random() < 0.1:
            fields["ts"] = str(self.now)
        return list({**fields, "op": "retract"}.items())

    def spoiled(self, fields):
        pick, fields = self.random, list(fields)
        at = pick.randrange(len(fields))
        name, value = fields[at]
        kind = pick.randrange(8)
        if kind == 0:
            del fields[at]
        elif kind == 1:
            fields[at] = (name, pick.randbytes(pick.randrange(1, 40)))
        elif kind == 2:
            fields.append(pick.choice(fields))
        elif kind == 3:
            fields.append((pick.randbytes(pick.randrange(70)), value))
        elif kind == 4:
            fields[at] = (name, "z" * pick.choice([1, 128, 129, 255, 256, 257, 300, 70_000]))
        elif kind == 5:
            fields += [(f"more{n}", "x") for n in range(pick.choice([10, 16, 17]))]
        elif kind == 6:
            fields.append(("op", pick.choice(["retract", "", "Retract"])))
        else:
            fields[at] = (name, pick.choice(["", "\0", "a\0", "\x01", "1e5", "nope", "-", "99"]))
        return fields

    def shuffled(self, fields):
        self.random.shuffle(fields)
        return fields
