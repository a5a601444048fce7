"""Reads our log lines: key=value pairs, values quoted where they hold spaces."""

import re

PAIR = re.compile(r'([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))')
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
PLAIN = {"n": "\n", "r": "\r", "t": "\t"}


def parse(line):
    """A dict of the line's pairs; {} if it is not a log line of a stage, such as a sanitizer's report."""
    if not line.startswith("ts="):
        return {}
    return pairs(line)


def pairs(text):
    """A dict of all key=value pairs in text."""
    return {key: unescape(quoted) if quoted else bare
            for key, quoted, bare in PAIR.findall(text)}


def unescape(text):
    def one(match):
        code = match.group(1)
        if len(code) == 3:
            return chr(int(code[1:], 16))
        return PLAIN.get(code, code)
    return ESCAPE.sub(one, text)
