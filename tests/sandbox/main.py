"""Options, the listening socket and the signals."""
import argparse
import asyncio
import gc
import os
import signal
import socket
import ssl
import sys

from .api import Api
from .wire import Connection
from .world import World


def parse_options(argv):
    p = argparse.ArgumentParser(prog="sandbox", description="A stateful stand-in for Stripe.")
    p.add_argument("--listen", default="127.0.0.1:12111", help="HOST:PORT; port 0 takes a free one")
    p.add_argument("--tls", metavar="FILE", help="certificate and key, PEM: then it speaks HTTPS alone")
    p.add_argument("--rate-per-s", type=int, default=25, help="API calls a second; 0: no limit")
    p.add_argument("--delay-ms", type=int, default=0, help="before every API answer")
    p.add_argument("--search-lag-ms", type=int, default=0, help="how far search is behind")
    p.add_argument("--retry-days", default="3,5,7", type=lambda text: [int(x) for x in text.split(",") if x],
                   help="the waits between tries to charge a renewal")
    p.add_argument("--after-retries", default="cancel", choices=("cancel", "unpaid", "past_due"),
                   help="what becomes of a subscription that none of them paid")
    p.add_argument("--upcoming-days", type=int, default=0, help="invoice.upcoming so long ahead; 0: never")
    p.add_argument("--webhook-retry-ms", default="1000,5000,15000",
                   type=lambda text: [int(x) for x in text.split(",") if x],
                   help="the waits between delivery tries")
    p.add_argument("--webhook-timeout-ms", type=int, default=10000, help="for one delivery try")
    p.add_argument("--seed", type=int, default=None, help="makes ids and probabilities repeat")
    p.add_argument("--verbose", action="store_true", help="one line a request on stderr")
    return p.parse_args(argv)


def open_socket(listen, scheme):
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, int(port)))
    s.listen(1024)
    shown = "[%s]" % host if family == socket.AF_INET6 else host
    return s, "%s://%s:%d" % (scheme, shown, s.getsockname()[1])


def tls_context(file):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


async def serve(options):
    loop = asyncio.get_running_loop()
    # Nothing here has to be flushed or closed: a stand-in may stop at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, os._exit, 0)
    sock, url = open_socket(options.listen, "https" if options.tls else "http")
    options.url = url
    api = Api(World(options, loop))
    await loop.create_server(lambda: Connection(api, loop), sock=sock,
                             ssl=tls_context(options.tls) if options.tls else None)
    print("sandbox listening on " + url, flush=True)
    await asyncio.Event().wait()


def main(argv=None):
    options = parse_options(argv)
    gc.freeze()
    gc.set_threshold(50000, 20, 50)   # the objects kept are many and free of cycles
    try:
        asyncio.run(serve(options))
    except OSError as e:
        print("sandbox: cannot listen on %s: %s" % (options.listen, e), file=sys.stderr)
        return 1
    return 0
