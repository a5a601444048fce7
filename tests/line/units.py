"""One program of unit tests, run to its end. Some are of an adapter and need its server: they get one of their own,
and have it killed and started by lines such as "@kill", which we answer by "done" (tests/unit/adapter.h)."""

import contextlib
import pathlib
import subprocess
import tempfile
import threading
import time

from . import process
from .claim import claim_folder
from .paths import BUILD, ROOT
from .servers import Postgres, Redis

TIMEOUT_S = 120


def run_unit(path):
    """(output, exit code, seconds); the code is None after the timeout."""
    began = time.monotonic()
    with server_for(path) as (server, settings):
        output, code = tell(path, server, settings)
    return output, code, time.monotonic() - began


def needed(path):
    """The header of a server that its source includes, or None."""
    source = (ROOT / "tests" / "unit" / f"{path.name}.c").read_text(encoding="utf-8")
    return next((name for name in ("pg_session.h", "redis_session.h") if f'"{name}"' in source), None)


@contextlib.contextmanager
def server_for(path):
    """(server, settings that tell of it); (None, {}) for most."""
    header = needed(path)
    if header == "pg_session.h":
        with own_folder(path) as folder, contextlib.closing(Postgres(folder)) as server:
            yield server.start(), {"METERLINE_TEST_POSTGRES_URL": server.url}
    elif header == "redis_session.h":
        # A socket's path has at most 107 bytes, which the folder's own may have used up.
        with own_folder(path) as folder, tempfile.TemporaryDirectory() as place:
            socket = f"{place}/redis.sock"
            with contextlib.closing(Redis(folder, unixsocket=socket)) as server:
                yield server.start(), {"METERLINE_TEST_REDIS_URL": server.url,
                                       "METERLINE_TEST_REDIS_SOCKET": socket}
    else:
        yield None, {}


@contextlib.contextmanager
def own_folder(path):
    folder, claim = claim_folder(BUILD / "test", f"unit.{pathlib.Path(path).name}")
    yield folder
    claim.release()


def tell(path, server, settings):
    child = subprocess.Popen([str(path)], env=process.clean_env(settings), text=True, errors="replace",
                             bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    late = threading.Event()

    def end():
        late.set()
        child.kill()

    watch = threading.Timer(TIMEOUT_S, end)
    watch.start()
    said = []
    with child:
        for line in child.stdout:
            if server and line.startswith("@"):
                getattr(server, line[1:].strip())()
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write("done\n")
                    child.stdin.flush()
            else:
                said.append(line)
    watch.cancel()
    return "".join(said), None if late.is_set() else child.returncode
