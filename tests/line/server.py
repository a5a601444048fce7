"""Private Redis and PostgreSQL servers: own port on the loopback, own data folder, and they end with this process."""

import contextlib
import pathlib
import shutil
import signal
import subprocess

from .claim import claim_port
from .process import freeze, send, spawn
from .wait import NotInTime, wait_until

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30


class Server:
    """What both servers share: one child process, always on the same port. A new object begins
    with no data, whatever an earlier run left in the folder."""

    name = "server"
    death_signal = signal.SIGKILL
    stop_signal = signal.SIGTERM
    user = None

    def __init__(self, folder, **conf):
        self.folder = pathlib.Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.conf = conf
        self.port, self._claim = claim_port()
        self.log_path = self.folder / f"{self.name}.log"
        self.process = None

    def start(self):
        """Starts it and waits until it answers. Settings in conf may have changed meanwhile."""
        assert not self.running, f"{self.name} runs already"
        self.prepare()
        with open(self.log_path, "ab") as log:
            self.process = spawn(self.command(), user=self.user, death_signal=self.death_signal,
                                 cwd="/", stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(self.answers_or_ended, START_TIMEOUT_S, f"{self.name} answers")
            if not self.running:
                raise NotInTime(f"{self.name} ended with {self.process.returncode}")
        except NotInTime as error:
            self.kill()
            raise RuntimeError(f"{error}\n{self.log_tail()}") from None
        return self

    def answers_or_ended(self):
        return not self.running or self.answers()

    def stop(self):
        """Stop gracefully. Does nothing if it does not run."""
        if not self.running:
            return
        self.resume()
        for _ in range(STOP_TIMEOUT_S):
            # Again each second: Redis declines while it writes its first append-only file.
            send(self.process.pid, self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
                return
        self.kill()

    def kill(self):
        """As if its machine had died: nothing is flushed, nobody is told."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def pause(self):
        """Freeze it: connections stay open, and nothing is answered."""
        freeze(self.process.pid)

    def resume(self):
        if self.running:
            send(self.process.pid, signal.SIGCONT)

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """Stop it and delete its data. The log stays."""
        self.kill()
        self.wipe()
        self._claim.release()

    def wipe(self):
        assert not self.running
        shutil.rmtree(self.data, ignore_errors=True)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def log_tail(self, lines=20):
        if not self.log_path.exists():
            return ""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])
