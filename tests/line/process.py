"""Child processes that never outlive us, even if we are killed with SIGKILL, and that see
nothing of our environment but what they are given."""

import ctypes
import os
import pathlib
import signal
import subprocess

from .wait import wait_until

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

# What a child may inherit: how to find and load programs, and how sanitizers report.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS",
             "TSAN_OPTIONS", "LLVM_PROFILE_FILE", "GCOV_PREFIX", "GCOV_PREFIX_STRIP")


def clean_env(settings=None):
    """The whole environment of a child. A setting of None is left out."""
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    env.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    env.update(HOME="/nonexistent", LANG="C.UTF-8", TZ="UTC")
    for name, value in (settings or {}).items():
        env.pop(name, None)
        if value is not None:
            env[name] = str(value)
    return env


def tied_to_parent(death_signal=signal.SIGKILL):
    """A preexec_fn: the kernel sends the child this signal when the thread that starts it ends,
    so start children from a thread that stays. It must run after a change of user, which
    resets it; Popen's user= comes before preexec_fn."""
    parent = os.getpid()

    def tie():
        _libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)

    return tie


def spawn(command, env=None, user=None, death_signal=signal.SIGKILL, **popen):
    """Popen of a tied child in a session of its own, so that Ctrl-C at the terminal reaches only
    us and we end the children in order."""
    if user:
        popen.update(user=user, group=user, extra_groups=[])
    popen.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen([str(part) for part in command], env=clean_env(env),
                            preexec_fn=tied_to_parent(death_signal), start_new_session=True,
                            **popen)


def run(command, env=None, user=None, input=None, timeout=60, **popen):
    """Runs a tied child to its end: CompletedProcess with stdout and stderr as text."""
    if input is not None:
        popen["stdin"] = subprocess.PIPE
    child = spawn(command, env=env, user=user, text=True, stdout=subprocess.PIPE,
                  stderr=subprocess.PIPE, **popen)
    try:
        out, err = child.communicate(input, timeout=timeout)
    except BaseException:
        child.kill()
        child.communicate()
        raise
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def children_of(pid):
    """The pids of the direct children of pid."""
    everyone = [int(entry.name) for entry in pathlib.Path("/proc").iterdir()
                if entry.name.isdigit()]
    return [other for other in everyone if (state_of(other) or (None, None))[1] == pid]


def state_of(pid):
    """(state letter, parent's pid) as /proc tells them, or None if pid is gone or a zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return None if state in "ZX" else (state, int(parent))


def is_alive(pid):
    return state_of(pid) is not None


def is_frozen(pid):
    state = state_of(pid)
    return state is None or state[0] == "T"


def freeze(*pids):
    """SIGSTOP, and returns only when none of them runs any more."""
    for pid in pids:
        send(pid, signal.SIGSTOP)
    wait_until(lambda: all(map(is_frozen, pids)), 10, f"{pids} are frozen")


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
