"""The harness that end-to-end tests and the demo share: private servers, the stages, and the line of all of them.

    line.py       everything in one folder, each piece startable separately
    servers.py    Redis, PostgreSQL, pgbouncer; server.py is what they share
    stages.py     one running program: log, metrics, signals
    process.py claim.py wait.py paths.py logfmt.py prometheus.py postgres_template.py
                  the tools below, one idea each
"""

from .line import Audit, Line
from .servers import Pgbouncer, Postgres, Redis, RedisCluster
from .stages import Stage
from .wait import NotInTime, wait_until

__all__ = ["Audit", "Line", "NotInTime", "Pgbouncer", "Postgres", "Redis",
           "RedisCluster", "Stage", "wait_until"]
