"""One PostgreSQL and one Redis that tests use in turn: each finds a new database of the name that it
expects, with schema and catalog in place, and an empty Redis.

What a test may do with them is listed below. All else, such as a restart, is refused, and what it
changed beside its own data is found when it ends: such a test asks for servers of its own.
"""

import contextlib
import pathlib

from .line import Line
from .postgres_template import DATABASE
from .servers import Postgres, Redis

MIGRATED = "meterline_migrated"
ADVICE = "mark it @pytest.mark.own_servers (tests/README.md)"

# What is of the whole server and not of one database. Settings of a database go when it is dropped.
OF_THE_SERVER = {
    "databases": "SELECT datname, datallowconn, datconnlimit FROM pg_database WHERE datname <> %s",
    "roles": "SELECT to_jsonb(r) - 'oid' FROM pg_authid r WHERE %s <> ''",
    "members of roles": "SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE %s <> ''",
    "settings of roles": """SELECT setrole::regrole, setconfig FROM pg_db_role_setting
                             WHERE setdatabase NOT IN (SELECT oid FROM pg_database WHERE datname = %s)""",
    "settings": "SELECT name, setting FROM pg_settings WHERE context <> 'internal' AND %s <> ''",
    "settings in files": "SELECT name, setting FROM pg_file_settings WHERE %s <> ''",
    "rules of access": "SELECT type, database, user_name, address, auth_method FROM pg_hba_file_rules WHERE %s <> ''",
    "replication slots": "SELECT slot_name FROM pg_replication_slots WHERE %s <> ''",
    "transactions that were prepared": "SELECT gid FROM pg_prepared_xacts WHERE %s <> ''",
}


class Shared:
    """A server that refuses what would leave traces for the next test."""

    ALLOWED = {"url", "url_of", "port", "name", "client", "connect", "log_tail", "running"}

    def __init__(self, server):
        self._server = server

    def __getattr__(self, name):
        if name not in self.ALLOWED:
            raise AssertionError(f"{name} of a {self._server.name} that other tests use too: {ADVICE}")
        return getattr(self._server, name)

    def close(self):
        """Nothing: the server stays for the next test."""


class SharedServers:
    """Those of one process. lines(): what a Line is made with."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.redis = self.postgres = self._admin = self._before = self._data = None

    def migrated(self):
        """The data folder of a PostgreSQL with schema and catalog, for one that a test has alone."""
        if self._data is None:
            line = Line(self.folder / "migrated")
            line.start_servers()
            line.migrate()
            line.catalog()
            line._disconnect()
            line.redis.close()
            line.postgres.stop()
            self._data = line.postgres
        return self._data.data

    def lines(self):
        """Servers without traces of the test before."""
        if self.postgres is None:
            self.start()
        self.redis_is_empty()
        self.run(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        self.run(f"CREATE DATABASE {DATABASE} TEMPLATE {MIGRATED} STRATEGY file_copy")
        return {"redis": Shared(self.redis), "postgres": Shared(self.postgres)}

    def start(self):
        line = Line(self.folder)
        self.redis, self.postgres = line.redis, line.postgres
        line.start_servers()
        line.migrate()
        line.catalog()
        self._admin = self.postgres.connect(self.postgres.url_of("postgres", "postgres"))
        self.run(f"ALTER DATABASE {DATABASE} RENAME TO {MIGRATED}")
        self._before = self.state()

    def harm(self):
        """How the servers differ from how they were at first, as text. If they do they are not used again."""
        try:
            now = self.state()
        except Exception as error:  # noqa: BLE001 They may be in any state.
            harm = [f"{type(error).__name__}: {error}"]
        else:
            harm = [f"{name}: {sorted(before - now[name])} became {sorted(now[name] - before)}"
                    for name, before in self._before.items() if before != now[name]]
        if harm:
            self.close()
        return "\n".join(harm)

    def state(self):
        """Sets of text, by what they tell of."""
        found = {name: {str(tuple(row)) for row in self.run(query, DATABASE)}
                 for name, query in OF_THE_SERVER.items()}
        with self.redis.client() as client:
            found["Redis' settings"] = set(map(str, client.config_get("*").items()))
            found["Redis' users"] = set(client.acl_list())
            found["Redis' role"] = {client.info("replication")["role"]}
        return found

    def redis_is_empty(self):
        with self.redis.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
            client.flushall()
            client.execute_command("FUNCTION", "FLUSH")
            client.script_flush()
            client.config_resetstat()

    def run(self, query, *params):
        with self._admin.cursor() as cursor:
            cursor.execute(query, params or None)
            return cursor.fetchall() if cursor.description else []

    def close(self):
        for piece in (self._admin, self.redis, self.postgres, self._data):
            with contextlib.suppress(Exception):
                if piece is not None:
                    piece.close()
        self.redis = self.postgres = self._admin = self._data = None
