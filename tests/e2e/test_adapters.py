"""The adapters for PostgreSQL and Redis, each on a server of its own.

The stories are told in C (tests/unit/test_pg*.c, test_redis*.c). A line "@kill" of theirs asks for
server.kill(), and so on; "done" is the answer.
"""

import subprocess
import tempfile

import pytest
from line import Redis
from line.paths import programs
from line.process import spawn


def tell(program, settings, server):
    child = spawn([programs().parent / "unit" / program], env=settings, text=True, bufsize=1,
                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = []
    with child:
        for line in child.stdout:
            if line.startswith("@"):
                getattr(server, line[1:].strip())()
                child.stdin.write("done\n")
                child.stdin.flush()
            else:
                said.append(line)
    return child.returncode, "".join(said)


@pytest.mark.parametrize("program", ["test_pg", "test_pg_connection", "test_schema"])
def test_postgres(postgres_server, program):
    code, said = tell(program, {"METERLINE_TEST_POSTGRES_URL": postgres_server.url},
                      postgres_server)
    assert code == 0, said


@pytest.mark.parametrize("program", ["test_redis", "test_redis_connection"])
def test_redis(folder, program):
    # A socket's path has at most 107 bytes, which the folder's own may have used up.
    with tempfile.TemporaryDirectory() as place:
        socket = f"{place}/redis.sock"
        server = Redis(folder, unixsocket=socket)
        server.start()
        try:
            code, said = tell(program, {"METERLINE_TEST_REDIS_URL": server.url,
                                        "METERLINE_TEST_REDIS_SOCKET": socket}, server)
        finally:
            server.close()
    assert code == 0, said
