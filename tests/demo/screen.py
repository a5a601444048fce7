"""What the demo shows: plain lines on a pipe; on a terminal also a block refreshed in place."""

import os
import shutil
import sys
import textwrap
import time

PIPE_EVERY_S = 2.0


class Screen:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.is_terminal = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._began = time.monotonic()
        self._steps = 0
        self._block = []
        self._said = (None, 0.0)

    def title(self, text):
        self._print(self._bold(text))

    def say(self, text, indent="  "):
        """A paragraph, wrapped."""
        width = min(shutil.get_terminal_size((96, 24)).columns - 1, 96)
        self._print(textwrap.fill(" ".join(text.split()), width, initial_indent=indent,
                                  subsequent_indent=indent))

    def line(self, text=""):
        self._print("  " + text if text else "")

    def step(self, name, why):
        """Opens the next stage of the story."""
        self._steps += 1
        at = f"{time.monotonic() - self._began:.1f} s"
        self._print(f"\n{self._bold(f'{self._steps}. {name}')}  ({at})")
        self.say(why)

    def live(self, rows, short):
        """Shows the state now. rows: (label, value, meaning), for a terminal. short: the same in
        one line, for a pipe, where it comes at most every two seconds and if it changed."""
        if self.is_terminal:
            self._redraw([f"  {label:<26}{value:>16}  {meaning}" for label, value, meaning in rows])
            return
        now = time.monotonic()
        if short != self._said[0] and now - self._said[1] >= PIPE_EVERY_S:
            self._said = (short, now)
            self._print(f"  {now - self._began:5.1f} s  {short}")

    def settle(self, short=None):
        """What the block shows now stays; later text comes below it."""
        if not self.is_terminal and short and short != self._said[0]:
            self._print(f"  {time.monotonic() - self._began:5.1f} s  {short}")
        self._block = []

    def _redraw(self, lines):
        columns = shutil.get_terminal_size((96, 24)).columns
        lines = [line[:columns - 1] for line in lines]
        up = f"\x1b[{len(self._block)}A" if self._block else "\n"
        self.out.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self.out.flush()
        self._block = lines

    def _print(self, text):
        self._block = []
        self.out.write(text + "\n")
        self.out.flush()

    def _bold(self, text):
        return f"\x1b[1m{text}\x1b[0m" if self.is_terminal else text
