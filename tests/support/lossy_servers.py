"""Servers that lose data as real ones do: failed over, cut off, restored from a backup."""

import pathlib
import shutil
import subprocess

from line import Redis
from line.line import STREAM
from line.paths import POSTGRES_USER
from line.postgres_template import must, tool


class SlowRedis(Redis):
    """A Redis whose clock is behind by so many seconds. Debian's faketime does not go with jemalloc."""

    behind_s = 0

    def prepare(self):
        super().prepare()
        self.library = self.folder / "slow_clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library,
                        pathlib.Path(__file__).with_name("slow_clock.c")], check=True)

    def command(self):
        return ["env", f"LD_PRELOAD={self.library}", f"SLOW_CLOCK_S={self.behind_s}",
                *super().command()]


def replicate(line, forwarder, behind_s=0):
    """A replica of the line's Redis, fed through the forwarder, that has all there is now."""
    replica = (SlowRedis if behind_s else Redis)(line.folder / "replica", **line.redis.conf)
    replica.behind_s = behind_s
    replica.conf["replicaof"] = f"127.0.0.1 {forwarder.port}"
    replica.start()
    replica.wait_linked()
    return replica


def wait_replicated(line, replica):
    """Wait until the replica has every entry, and the position of the consumer group."""
    def seen(client):
        groups = client.xinfo_groups(STREAM)
        info = client.xinfo_stream(STREAM)
        return info["entries-added"], info["length"], [g["last-delivered-id"] for g in groups]
    with replica.client() as there:
        line.wait_for(lambda: seen(there) == seen(line.client()), 20, "the replica has it all")


def promote(line, replica, *forwarders):
    """Make the replica the master, and lead the forwarders there."""
    with replica.client() as client:
        client.replicaof("NO", "ONE")
    for forwarder in forwarders:
        forwarder.cut(replica.port)
    line.redis = replica
    line._disconnect()


def base_backup(line):
    """A copy of PostgreSQL, taken with pg_basebackup while it works: the folder."""
    folder = line.postgres.data.with_name("base-backup")
    folder.mkdir(mode=0o700)
    if POSTGRES_USER:
        shutil.chown(folder, POSTGRES_USER, POSTGRES_USER)
    must([tool("pg_basebackup"), "-h", "127.0.0.1", "-p", line.postgres.port, "-U", "postgres",
          "-D", folder, "-X", "stream", "-c", "fast"])
    return folder


def restore(line, backup):
    line.postgres.stop()
    shutil.rmtree(line.postgres.data)
    backup.rename(line.postgres.data)
    line.postgres.start()
    line._disconnect()
    line.wait_for(lambda: line.value("SELECT true"), 20, "PostgreSQL is back")


def stop_servers(line):
    line.redis.stop()
    line.postgres.stop()


def start_servers(line):
    line.redis.start()
    line.postgres.start()
    line._disconnect()
    line.wait_for(lambda: line.value("SELECT true"), 20, "PostgreSQL is back")


def snapshot(line):
    """Copy both servers' disks at one moment. Returns [(folder, copy)]."""
    stop_servers(line)
    copies = [(each, each.with_name(each.name + "-copy")) for each in (line.redis.data, line.postgres.data)]
    for data, copy in copies:
        subprocess.run(["cp", "-a", data, copy], check=True)
    start_servers(line)
    return copies


def set_back(line, copies):
    stop_servers(line)
    for data, copy in copies:
        shutil.rmtree(data)
        copy.rename(data)
    start_servers(line)


def held(line):
    return line.value("SELECT value FROM ledger_state WHERE name = 'sink_hold'") > 0


def accept(line):
    """Sinks go on, but only once somebody says so: what was told before that."""
    told = line.meterctl("restore", "accept")
    assert told.returncode == 1 and held(line)
    line.must("meterctl", "restore", "accept", "--yes")
    assert not held(line)
    return told.stdout


def epochs(line):
    """The audit's terms of each epoch of the stream; it balances."""
    audit = line.audit()
    assert audit.balanced and all(each["difference"] == 0 for each in audit.streams), audit.text
    assert audit.attention.keys() <= {"lost", "sink_hold"}, audit.text
    return {each["epoch"]: each for each in audit.streams}


def counted(line):
    return int(line.value("SELECT coalesce(sum(events), 0) FROM usage_aggregates"))
