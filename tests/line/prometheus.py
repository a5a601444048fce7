"""Reads Prometheus' text format."""

import decimal
import re

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """All samples of one scrape: a list of (name, labels, value)."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            match = SAMPLE.match(line)
            if match and not line.startswith("#"):
                name, labels, value = match.groups()
                self.samples.append((name, dict(LABEL.findall(labels or "")),
                                     decimal.Decimal(value.replace("Inf", "Infinity"))))

    def find(self, name, **labels):
        return [value for sample, own, value in self.samples
                if sample == name and labels.items() <= own.items()]

    def value(self, name, **labels):
        """The sum over all samples of this name with these labels; None if there is none."""
        found = self.find(name, **labels)
        return sum(found) if found else None
