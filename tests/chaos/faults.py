"""Doing a fault to the field, and undoing it."""

import contextlib
import os
import signal
import subprocess
import time

import psycopg2
import redis

from line.process import freeze, is_frozen, send

COMMIT = b"commit\0"    # As a statement in PostgreSQL's protocol.
SENDING_BYTES = 2000    # So much at once is a batch, not a lease or a look-up.
STOP_S = 20
DROP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


class Faults:
    """do(fault) strikes, and returns what undoes it."""

    def __init__(self, field, periods, lossy=False):
        self.field, self.periods, self.lossy = field, periods, lossy
        self.redis, self.postgres = field.line.redis, field.line.postgres
        self.sizes = []  # Of Redis' file: (when, path, bytes), the newest last.

    def do(self, fault):
        family, _, number = fault.target.rpartition(" ")
        if not number.isdigit():
            family, number = fault.target, 0
        target, undo = self.field.target(family, int(number)), f"undo_{fault.kind}"
        kind = "wire" if "wire" in family else family
        self.method(f"do_{kind}_{fault.kind}")(target, fault)
        undo = self.method(f"undo_{kind}_{fault.kind}")
        return (lambda: undo(target, fault)) if undo else None

    def method(self, name):
        return getattr(self, name.replace(" ", "_"), None)

    # Aggregators. Being frozen may end by being killed.

    def do_aggregator_kill(self, place, fault):
        place.kill()

    def undo_aggregator_kill(self, place, fault):
        place.start()

    def do_aggregator_term(self, place, fault):
        place.term()

    def undo_aggregator_term(self, place, fault):
        place.ended()
        place.start()

    def do_aggregator_crash_at_a_point(self, place, fault):
        place.kill()
        place.start_crashing()

    def do_aggregator_pause(self, place, fault):
        if place.stage.running:
            freeze(place.stage.pid)

    def undo_aggregator_pause(self, place, fault):
        send(place.stage.pid, signal.SIGCONT)

    def do_aggregator_freeze_while_sending(self, place, fault):
        """Its server has got half of a message then, and a transaction that is open."""
        pid = place.stage.pid

        def watch(wire, data, sink):
            if len(data) < SENDING_BYTES or is_frozen(pid):
                return data
            sink.sendall(data[:len(data) // 2])
            send(pid, signal.SIGSTOP)
            wire.stall()
            wire.wait_flowing()
            return data[len(data) // 2:]

        place.ledger_wire.watch = watch

    def undo_aggregator_freeze_while_sending(self, place, fault):
        place.ledger_wire.watch = None
        send(place.stage.pid, signal.SIGCONT)
        place.ledger_wire.resume()

    # Wires.

    def do_wire_cut(self, wire, fault):
        wire.cut()

    def undo_wire_cut(self, wire, fault):
        wire.target = wire.home

    def do_wire_stall(self, wire, fault):
        wire.stall()

    def undo_wire_stall(self, wire, fault):
        wire.resume()

    def do_wire_delay(self, wire, fault):
        wire.delay_s = 0.002 + 0.06 * fault.roll

    def undo_wire_delay(self, wire, fault):
        wire.delay_s = 0

    def do_wire_cut_before_commit(self, wire, fault):
        def watch(wire, data, sink):
            if COMMIT in data:
                wire.cut()
            return data

        wire.watch = watch

    def do_wire_cut_after_commit(self, wire, fault):
        def watch(wire, data, sink):
            if COMMIT in data:
                wire.stall()  # The answer does not come through.
                sink.sendall(data)
                time.sleep(0.2 * fault.roll)
                wire.cut()
                wire.resume()
            return data

        wire.watch = watch

    def undo_wire_cut_before_commit(self, wire, fault):
        wire.watch = None
        wire.target = wire.home

    undo_wire_cut_after_commit = undo_wire_cut_before_commit

    # Servers.

    def do_redis_kill(self, server, fault):
        server.kill()

    def undo_redis_kill(self, server, fault):
        """With appendfsync everysec a Redis acknowledges, for up to 2 s, what it does not even write while an
        fsync takes its time: killed then, it lost that. With always it never does."""
        if self.lossy:
            self.start_with_losses(server)
        else:
            server.start()

    def do_redis_restart(self, server, fault):
        server.stop()

    def undo_redis_restart(self, server, fault):
        server.start()

    def do_redis_pause(self, server, fault):
        server.pause()

    def undo_redis_pause(self, server, fault):
        server.resume()

    def do_redis_drop_clients(self, server, fault):
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)

    def do_redis_lose_the_last_second(self, server, fault):
        """As after a power cut: what was written since the last fsync is gone from the file."""
        server.kill()
        now = time.monotonic()
        path, size = self.file_size()
        kept = [then for when, name, then in self.sizes if name == path and now - when < 1]
        if kept:
            os.truncate(path, min(size, kept[int(fault.roll * len(kept))]))

    def undo_redis_lose_the_last_second(self, server, fault):
        self.start_with_losses(server)

    def start_with_losses(self, server):
        """Services send again what is lost before anything new."""
        with contextlib.ExitStack() as held:
            for service in self.field.services:
                held.enter_context(service.sending)
                service.losses += 1
            server.start()

    def note_size(self):
        now = time.monotonic()
        self.sizes = [size for size in self.sizes if now - size[0] < 1.5]
        self.sizes.append((now, *self.file_size()))

    def file_size(self):
        path = max((self.redis.data / "appendonlydir").glob("*.incr.aof"), default=None)
        return path, path.stat().st_size if path else 0

    do_postgres_kill, undo_postgres_kill = do_redis_kill, undo_redis_restart
    do_postgres_restart, undo_postgres_restart = do_redis_restart, undo_redis_restart
    do_postgres_pause, undo_postgres_pause = do_redis_pause, undo_redis_pause
    undo_postgres_immediate_stop = undo_redis_restart

    def do_postgres_immediate_stop(self, server, fault):
        server.process.send_signal(signal.SIGQUIT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(STOP_S)
        server.kill()

    def do_postgres_drop_clients(self, server, fault):
        with contextlib.closing(server.connect()) as connection:
            connection.cursor().execute(DROP)

    def do_periods_move(self, target, fault):
        self.periods.move(fault.roll)


OUTAGES = (redis.RedisError, psycopg2.Error, OSError)
