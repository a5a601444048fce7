"""A program on a terminal of a given size, as a person sees it: a pseudo-terminal and the few control
sequences that our programs use."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
import time

SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """Screen(lines, columns).run(line, "meterctl", "watch"). text: the lines as they stand now."""

    def __init__(self, lines, columns):
        self.master, self.slave = pty.openpty()
        self.resize(lines, columns)
        self.before = termios.tcgetattr(self.slave)
        self.raw = ""
        self.process = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    def resize(self, lines, columns):
        self.lines, self.columns = lines, columns
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def run(self, line, name, *args, **settings):
        self.process = line.start(name, args=args, popen={
            "stdin": self.slave, "stdout": self.slave}, **settings)
        self._reader.start()
        return self

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            self.raw += data.decode(errors="replace")

    def press(self, key):
        os.write(self.master, key.encode())

    @property
    def text(self):
        """Lines of the screen, as one painting leaves them: those before do not matter."""
        painted = self.raw.rpartition("\x1b[H")[2]
        return SEQUENCE.sub("", painted).replace("\r", "").split("\n")

    def modes(self):
        """Private modes that are set: 1049 (another screen), …"""
        on = {"25", "7"}
        for private, number, verb in SEQUENCE.findall(self.raw):
            if private and verb == "h":
                on.add(number)
            elif private and verb == "l":
                on.discard(number)
        return on

    def wait(self, condition, timeout=20):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.raw[-4000:]
            time.sleep(0.02)

    def close(self):
        if self.process:
            self.process.close()
        os.close(self.slave)
        os.close(self.master)
