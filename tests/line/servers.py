"""Private Redis and PostgreSQL servers for tests and the demo."""

import contextlib
import ctypes
import pathlib
import random
import signal
import subprocess
import time

import psycopg2
import psycopg2.extras
import redis

from . import process
from .claim import claim_port
from .paths import POSTGRES_USER, postgres_data
from .postgres_template import DATABASE, copy_data, empty_template, tool
from .server import Server
from .wait import NotInTime, wait_until

IPC_RMID = 0
SLOTS = 16384
REDIRECTING = {"MOVED", "ASK"}
PASSING = {*REDIRECTING, "CLUSTERDOWN", "TRYAGAIN"}
LINKED = {"master_link_status": "up", "aof_rewrite_in_progress": 0, "aof_rewrite_scheduled": 0}


class Redis(Server):
    """Redis(folder, appendfsync="always"): conf names are Redis' own, with _ for -."""

    name = "redis"

    def __init__(self, folder, **conf):
        super().__init__(folder, **conf)
        self.data = self.folder / "redis-data"
        self.wipe()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def client(self, **options):
        """A redis-py client; text in and out unless told otherwise."""
        options = {"decode_responses": True, "socket_timeout": 20, **options}
        return redis.Redis(host="127.0.0.1", port=self.port, **options)

    def replica(self, folder=None, **conf):
        """A replica of this server, started and in sync when this returns."""
        other = Redis(folder or self.folder / "replica", **{**self.conf, **conf})
        other.conf["replicaof"] = f"127.0.0.1 {self.port}"
        other.start()
        other.wait_linked()
        return other

    def wait_linked(self, timeout=20):
        with self.client() as client:
            wait_until(lambda: client.info().items() >= LINKED.items(), timeout,
                       "replica is linked and has its own append-only file")

    def restart_empty(self):
        """Start again on the same port, with all data lost."""
        self.stop()
        self.wipe()
        return self.start()

    def prepare(self):
        self.data.mkdir(parents=True, exist_ok=True)

    def command(self):
        conf = {"port": self.port, "bind": "127.0.0.1", "dir": self.data, "save": "",
                "appendonly": "yes", "appendfsync": "everysec",
                "maxmemory-policy": "noeviction", "repl-diskless-sync-delay": 0,
                **{name.replace("_", "-"): value for name, value in self.conf.items()}}
        command = ["redis-server"]
        for name, value in conf.items():
            # An empty word is a value of its own (save ""), others may be several words.
            command += [f"--{name}", *(str(value).split(" ") if value != "" else [""])]
        return command

    def answers(self):
        try:
            with self.client(socket_timeout=1) as client:
                return client.ping()
        except redis.RedisError:
            return False


def first_word(error):
    """Of Redis' own answer, which redis-py leaves out where it has a class for it."""
    kind = type(error).__name__.removesuffix("Error").upper()
    return kind if kind in PASSING else str(error).split(" ")[0]


class ClusterClient:
    """client.hget(key, …): redis-py's commands, whose first argument is a key, each sent to the node
    that serves it, and again while a failover is on its way. (redis-py's own cluster client gives up
    where its first list of nodes has a dead one.)"""

    TRIES = 600

    def __init__(self, cluster):
        self.cluster = cluster
        self._clients = {}  # By port.
        self._ports = {}  # By key.

    def __getattr__(self, name):
        return lambda key, *args, **options: self._call(name, key, args, options)

    def _call(self, name, key, args, options):
        port, asking = self._ports.get(key, self._any()), False
        for _ in range(self.TRIES):
            try:
                client = self._to(port)
                if asking:
                    client.execute_command("ASKING")
                asked, asking = asking, False
                answer = getattr(client, name)(key, *args, **options)
                if not asked:
                    self._ports[key] = port
                return answer
            except redis.ResponseError as error:
                word = first_word(error)
                if word not in PASSING:
                    raise
                asking = word == "ASK"
                port = int(str(error).rsplit(":", 1)[1]) if word in REDIRECTING else self._any()
                time.sleep(0 if word in REDIRECTING else 0.05)
            except (redis.ConnectionError, redis.TimeoutError):
                port = self._any()
                time.sleep(0.05)
        raise NotInTime(f"{name} {key}: no node took it")

    def scan_iter(self, match):
        """Keys on all masters."""
        for node in self.cluster.nodes:
            if node.running and self._to(node.port).info("replication")["role"] == "master":
                yield from self._to(node.port).scan_iter(match)

    def _any(self):
        return random.choice([node.port for node in self.cluster.nodes if node.running])

    def _to(self, port):
        if port not in self._clients:
            self._clients[port] = redis.Redis(port=port, decode_responses=True, socket_timeout=20,
                                              single_connection_client=True)
        return self._clients[port]

    def close(self):
        for client in self._clients.values():
            client.close()


class RedisCluster:
    """RedisCluster(folder, masters=3, replicas=1): private nodes of one Redis Cluster. It stands
    where a Redis would in a Line: one client for all nodes, one URL that names the first of them."""

    name = "cluster"

    def __init__(self, folder, masters=3, replicas=0, seeds=1, **conf):
        conf = {"cluster_enabled": "yes", "cluster_config_file": "nodes.conf",
                "cluster_node_timeout": 1000, "cluster_replica_validity_factor": 0, **conf}
        self.folder = pathlib.Path(folder)
        self.masters, self.replicas, self.seeds = masters, replicas, seeds
        self.nodes = []
        self._bus_claims = []
        for number in range(masters * (1 + replicas)):
            bus, claim = claim_port()
            self._bus_claims.append(claim)
            self.nodes.append(Redis(self.folder / f"node-{number}", cluster_port=bus, **conf))

    @property
    def url(self):
        return "redis://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:self.seeds])

    @property
    def process(self):
        return self.nodes[0].process

    def log_tail(self, lines=20):
        return "\n".join(node.log_tail(3) for node in self.nodes)

    def client(self, **_):
        return ClusterClient(self)

    def start(self):
        for node in self.nodes:
            node.start()
        self.form()
        return self

    def form(self):
        """As redis-cli --cluster create does, but with bus ports of our choice."""
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                if number < self.masters:
                    client.execute_command(
                        "CLUSTER ADDSLOTSRANGE", SLOTS * number // self.masters,
                        SLOTS * (number + 1) // self.masters - 1)
        for node in self.nodes[1:]:
            with node.client() as client:
                client.execute_command("CLUSTER MEET", "127.0.0.1", first.port,
                                       first.conf["cluster_port"])
        wait_until(lambda: all(self.knows(node) == len(self.nodes) for node in self.nodes), 20,
                   "all nodes have met")
        for number, node in enumerate(self.nodes[self.masters:]):
            with node.client() as client:
                client.execute_command("CLUSTER REPLICATE",
                                       self.id_of(self.nodes[number % self.masters]))
        wait_until(self.is_whole, 30, "the cluster is whole")

    def is_whole(self):
        for node in self.nodes:
            with node.client() as client:
                if client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                    return False
                info = client.info("replication")
                if info["role"] == "slave" and info["master_link_status"] != "up":
                    return False
        return all(self.replica_count(node) == self.replicas for node in self.nodes[:self.masters])

    @staticmethod
    def replica_count(node):
        with node.client() as client:
            return client.info("replication")["connected_slaves"]

    @staticmethod
    def knows(node):
        with node.client() as client:
            return int(client.execute_command("CLUSTER INFO")["cluster_known_nodes"])

    @staticmethod
    def id_of(node):
        with node.client() as client:
            return client.execute_command("CLUSTER MYID")

    def master_of(self, key):
        """The node that serves the key, among those that live, according to the others."""
        for node in self.nodes:
            if not node.running:
                continue
            with node.client() as client:
                if client.info("replication")["role"] != "master":
                    continue
                try:
                    client.exists(key)
                    return node
                except redis.ResponseError:
                    continue
        return None

    def close(self):
        for node in self.nodes:
            node.close()
        for claim in self._bus_claims:
            claim.release()


class Postgres(Server):
    """Postgres(folder, fsync="on", max_connections=30): conf names are PostgreSQL's own."""

    name = "postgres"
    # Immediate shutdown: unlike SIGKILL it also ends the backends and frees shared memory.
    death_signal = signal.SIGQUIT
    stop_signal = signal.SIGINT
    user = POSTGRES_USER
    origin = None  # The data folder of another, which has ended: a copy of it is ours at first.

    def __init__(self, folder, **conf):
        super().__init__(folder, **conf)
        self.data = postgres_data(self.folder) / "postgres-data"
        self._waker = None
        self.wipe()

    @property
    def url(self):
        return self.url_of("postgres", DATABASE)

    def url_of(self, user, database=DATABASE):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def connect(self, url=None, **options):
        """A psycopg2 connection in autocommit mode; rows have names."""
        options = {"connect_timeout": 10, "application_name": "meterline-tests",
                   "cursor_factory": psycopg2.extras.NamedTupleCursor, **options}
        connection = psycopg2.connect(url or self.url, **options)
        connection.autocommit = True
        return connection

    def prepare(self):
        if not self.data.exists():
            copy_data(self.origin or empty_template(), self.data)

    def command(self):
        # Durable against the death of any process. fsync only matters when the kernel dies,
        # which no test here does. Dynamic shared memory lies in the data folder, not in
        # /dev/shm, where SIGKILL would leave it.
        conf = {"port": self.port, "listen_addresses": "127.0.0.1",
                "unix_socket_directories": "", "fsync": "off", "synchronous_commit": "on",
                "dynamic_shared_memory_type": "mmap", "shared_buffers": "32MB",
                "max_wal_size": "512MB", "timezone": "UTC", "log_timezone": "UTC",
                "log_line_prefix": "%m %p %a ", **self.conf}
        command = [tool("postgres"), "-D", self.data]
        for name, value in conf.items():
            command += ["-c", f"{name}={value}"]
        return command

    def answers(self):
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def kill(self):
        if not self.process:
            return
        backends = process.children_of(self.process.pid)
        shared_memory = self.shared_memory_id()
        super().kill()
        for pid in backends:
            process.send(pid, signal.SIGKILL)
        self.resume()
        wait_until(lambda: not any(map(process.is_alive, backends)), 10, "backends are gone")
        if shared_memory is not None:
            ctypes.CDLL(None).shmctl(shared_memory, IPC_RMID, None)

    def close(self):
        super().close()
        if self.data.parent != self.folder:
            with contextlib.suppress(OSError):
                self.data.parent.rmdir()

    def pause(self):
        """Freezes the server and all its backends. Should we die meanwhile, the waker's input
        ends: it lets them run again, and they end by themselves as their server is gone."""
        process.freeze(self.pid)  # First: it must not start another backend.
        pids = [self.pid, *process.children_of(self.pid)]
        # Not tied to us like other children: its work starts when we die.
        self._waker = subprocess.Popen(
            ["sh", "-c", 'read -r line; kill -CONT "$@" 2>/dev/null; exit 0', "sh",
             *map(str, pids)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True, cwd="/")
        process.freeze(*pids)

    def resume(self):
        if self._waker:
            self._waker.communicate()
            self._waker = None

    def shared_memory_id(self):
        """The identifier in the 7th line of postmaster.pid; SIGKILL would leave the segment."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return int(lines[6].split()[1])
        return None


class Pgbouncer(Server):
    """Pgbouncer(folder, postgres): transaction pooling in front of that server. conf names are
    pgbouncer's own. Users need no password; they are those given."""

    name = "pgbouncer"
    stop_signal = signal.SIGINT
    user = POSTGRES_USER

    def __init__(self, folder, postgres, users=("postgres",), **conf):
        super().__init__(folder, **conf)
        self.postgres = postgres
        self.users = users
        self.data = postgres_data(self.folder) / "pgbouncer"
        self.wipe()

    @property
    def url(self):
        return self.url_of("postgres")

    def url_of(self, user, database=DATABASE):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def connect(self, user="postgres", database=DATABASE):
        connection = psycopg2.connect(self.url_of(user, database), connect_timeout=10)
        connection.autocommit = True
        return connection

    def show(self, what):
        """Rows of pgbouncer's own console, as dicts."""
        connection = self.connect(database="pgbouncer")
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SHOW {what}")
                names = [column.name for column in cursor.description]
                return [dict(zip(names, row)) for row in cursor.fetchall()]
        finally:
            connection.close()

    def prepare(self):
        self.data.mkdir(parents=True, exist_ok=True)
        conf = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "",
                "pool_mode": "transaction", "auth_type": "trust",
                "auth_file": self.data / "users", "admin_users": "postgres",
                "default_pool_size": 2, "max_client_conn": 200, **self.conf}
        lines = ["[databases]", f"* = host=127.0.0.1 port={self.postgres.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in conf.items()]
        (self.data / "ini").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (self.data / "users").write_text(
            "".join(f'"{user}" ""\n' for user in self.users), encoding="utf-8")

    def command(self):
        return ["/usr/sbin/pgbouncer", self.data / "ini"]

    def answers(self):
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True
