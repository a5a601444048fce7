#!/usr/bin/python3
"""make run: the whole line at work on this machine, explained while it runs.

Starts everything it needs and ends it again. With RUN_EXTERNAL=1 it uses REDIS_URL and
DATABASE_URL where given. Exit code 0: all of it was counted once and billed once; 1: it was not;
2: it refused to start.
"""

import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from line import Line, NotInTime, Postgres, Redis  # noqa: E402
from line.claim import claim_folder  # noqa: E402
from line.line import OUTAGES  # noqa: E402
from line.paths import BUILD, ROOT  # noqa: E402

from external import Refused, given_servers, refuse_live_key  # noqa: E402
from screen import Screen  # noqa: E402
from story import Failed, Story  # noqa: E402
import events  # noqa: E402

REFRESH_S = 1.0


def main():
    screen = Screen()
    # Whoever ends us, `finally` below still runs. SIGKILL cannot be caught: then the kernel ends
    # our children.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    # A shell has what it starts in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    forget_environment()
    folder, _claim = claim_folder(BUILD, "run")
    line = None
    try:
        refuse_live_key()
        redis, postgres = given_servers()
        # As in earnest: what is acknowledged has reached the disk.
        line = Line(folder, redis or Redis(folder, appendfsync="always"),
                    postgres or Postgres(folder, fsync="on"))
        return tell(line, screen)
    except Refused as error:
        print(f"run: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Nobody reads any more; Python would complain of it once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Failed, NotInTime, AssertionError, RuntimeError, OSError, *OUTAGES) as error:
        print(f"\nThe demo did not get through: {error}", file=sys.stderr)
        if line and isinstance(error, Failed):
            print(line.log_tails(lines=8), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything is stopped.", file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # A second Ctrl-C must not leave half of it.
        if line:
            line.close()


def forget_environment():
    """What client libraries read on their own."""
    for name in list(os.environ):
        if name.startswith("PG"):
            del os.environ[name]


def tell(line, screen):
    given = os.environ.get("RUN_EXTERNAL") == "1"
    story = Story(line, screen, f"{int(time.time()):x}-" if given else "")
    screen.title("meterline counts what customers use, each event exactly once, and bills it "
                 "through Stripe.")
    screen.say(f"""Here {events.TOTAL:,} usage events of 200 customers ("tenants") go down the whole
        line, on this machine only. {events.REPEATED:,} of them are repeats, as when a service
        tries again after a lost answer; {events.INVALID:,} are invalid. In the end the numbers
        must agree to the last unit.""")
    screen.line()
    screen.line("services -> emitter -> Redis -> aggregator -> PostgreSQL -> sink -> Stripe")
    screen.line("                                                   ^                   |")
    screen.line("                                                   +---- webhookd <----+")

    whose = ("Those that were given are used as they are, the rest is" if given
             else "All are")
    screen.step("Servers", f"""A Redis, which holds the queue of events; a PostgreSQL, which
        keeps the accounts; and a sandbox that behaves as Stripe does. {whose} private to this
        run, on free ports, and Stripe itself is not reached.""")
    story.start_servers()
    screen.step("Tables and catalog", """meterctl makes the tables, and loads the catalog: what
        is measured, what each plan includes, what more of it costs.""")
    story.prepare_database()
    screen.step("webhookd: who are the customers?", """Stripe tells by signed messages (webhooks)
        who has subscribed, to what, for which period. webhookd checks the signatures and writes
        it down. 200 customers now subscribe at the sandbox.""")
    story.sign_up_tenants()
    screen.step("notifier: tell of it", """What happens is told to whoever wants to know: by a
        signal in Redis, and, where a customer has an address, by mail and a signed POST. Each
        message has an id, and is there within a second.""")
    story.tell_of_it()
    screen.step("aggregator: count", """It reads the queue, sets repeated and invalid events
        apart, and adds up the rest by minute and by billing period. What was counted and how far
        it has read are saved in one transaction, so a crash can neither lose nor double an
        event.""")
    story.start_aggregator()
    screen.step("sink: report to Stripe", """Every 2 seconds here (5 minutes usually) it reports
        what has been added since. Each report is written down under its own name before it is
        sent, so that none is ever sent twice.""")
    story.start_sink()
    screen.step("emitter: send", f"""{events.TOTAL:,} events. The emitter, which a service would
        use, checks them and refuses what is plainly wrong. {events.INVALID // 2:,} of the
        invalid ones go straight to Redis, as from a service that uses no library of ours: those
        are for the aggregator to catch.""")
    story.send_events()
    screen.step("Watch it arrive", "From the queue to the accounts, and on to Stripe.")
    story.watch_it_arrive()
    return finish(story, screen, line)


def finish(story, screen, line):
    results = {}
    screen.step("Do the totals agree?", """What was sent, worked out from the events alone; what
        our ledger says; and what the sandbox has added up for itself.""")
    results["Stripe's totals equal ours"] = story.show_comparison()
    screen.step("What became of the rest?", """Nothing is dropped in silence: invalid events are
        kept in the table rejected_events, each with its reason, and can be sent again once
        mended.""")
    results["every event is accounted for"] = story.show_rejects()
    screen.step("May a customer go on?", """A service asks Redis before it serves: one read tells
        what the customer has used, and the limit. About a second behind the queue.""")
    story.show_quota()
    screen.step("Audit", """meterctl compares what Redis says was ever added with what the ledger
        holds, and the ledger with its own raw events. difference=0: every event is accounted
        for.""")
    results["the audit balances"] = story.show_audit()
    screen.line()
    for claim, holds in results.items():
        screen.title(f"  {'yes' if holds else 'NO '}  {claim}")
    ok = all(results.values())
    if screen.is_terminal:
        stay(story, screen)
    else:
        screen.say(f"Logs are in {line.folder.relative_to(ROOT)}/. Everything is stopped.")
    return 0 if ok else 1


def stay(story, screen):
    """Until Ctrl-C, or until whoever started us is gone."""
    screen.line()
    story.how_to_look()
    parent = os.getppid()
    # An exception could be raised inside of a library that swallows it.
    stopped = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    while not stopped.is_set() and os.getppid() == parent:
        state = story.reader.read()
        screen.live(state.rows(), state.short())
        stopped.wait(REFRESH_S)
    print("\n  Stopped.")


if __name__ == "__main__":
    sys.exit(main())
