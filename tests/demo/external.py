"""With RUN_EXTERNAL=1: servers that somebody else runs. We neither start nor stop them."""

import os
import pathlib

import redis

from line.servers import Postgres, Redis


class Refused(Exception):
    """The settings ask for what the demo must not do."""


class GivenRedis(Redis):
    def __init__(self, url):
        self.url_given = url
        self.process = None

    url = property(lambda self: self.url_given)

    def client(self, **options):
        return redis.from_url(self.url, **{"decode_responses": True, "socket_timeout": 20,
                                           **options})

    def start(self):
        self.client().ping()
        return self

    def close(self):
        pass


class GivenPostgres(Postgres):
    def __init__(self, url):
        self.url_given = url
        self.process = None

    url = property(lambda self: self.url_given)

    def start(self):
        """Only a database that is empty or holds nothing but earlier demos: the sink would report
        other tenants' usage to the sandbox and take it for billed."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('public.billing_customers') IS NOT NULL AS known")
            if cursor.fetchone().known:
                cursor.execute("SELECT tenant FROM billing_customers "
                               "WHERE tenant NOT LIKE 'demo-%' LIMIT 1")
                if cursor.fetchone():
                    raise Refused("DATABASE_URL holds customers that are not of this demo; "
                                  "give it an empty database")
        return self

    def close(self):
        pass


def refuse_live_key(environ=os.environ):
    """A live key in sight ends the demo, whether it would be used or not."""
    key = environ.get("STRIPE_SECRET_KEY", "")
    file = environ.get("STRIPE_SECRET_KEY_FILE")
    if file and pathlib.Path(file).is_file():
        key += " " + pathlib.Path(file).read_text(encoding="utf-8", errors="replace")
    if any(word.startswith(("sk_live_", "rk_live_")) for word in key.split()):
        raise Refused("STRIPE_SECRET_KEY is a live key. The demo never runs beside one: unset it")


def given_servers(environ=os.environ):
    """(redis, postgres), None for what is to be started privately."""
    if environ.get("RUN_EXTERNAL") != "1":
        return None, None
    redis_url, database_url = environ.get("REDIS_URL"), environ.get("DATABASE_URL")
    return (GivenRedis(redis_url) if redis_url else None,
            GivenPostgres(database_url) if database_url else None)
