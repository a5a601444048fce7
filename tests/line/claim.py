"""Claims on names and ports, which end with this process however it ends.

A claim is a socket bound to an abstract address: the kernel releases it however the process
ends, and nothing lies on disk. So any number of test runs and demos share a machine.
"""

import os
import random
import shutil
import socket


class Claim:
    """One claimed name. Raises Taken if a living process has it."""

    def __init__(self, name):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind("\0meterline:" + name[-90:])
        except OSError as error:
            self._socket.close()
            raise Taken(name) from error

    def release(self):
        self._socket.close()


class Taken(Exception):
    pass


def claim_folder(parent, name):
    """An empty folder in parent that no other run uses now, as (path, claim): name, or name-2, …"""
    for number in range(1, 100):
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            claim = Claim(f"folder:{path}")
        except Taken:
            continue
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path, claim
    raise RuntimeError(f"too many runs of {name}")


def claim_port():
    """A loopback port that nobody listens on, as (port, claim). It stays below the range that the
    kernel gives to outgoing connections, so a server finds it free again after a restart."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first_ephemeral = int(file.read().split()[0])
    low, high = (10000, first_ephemeral) if first_ephemeral > 12000 else (61000, 65535)
    chooser = random.Random(os.urandom(8))
    for _ in range(1000):
        port = chooser.randrange(low, high)
        try:
            claim = Claim(f"port:{port}")
        except Taken:
            continue
        if is_free(port):
            return port, claim
        claim.release()
    raise RuntimeError("no free loopback port found")


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
