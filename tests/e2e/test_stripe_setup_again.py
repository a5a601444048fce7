"""`meterctl stripe setup` killed, unanswered, or side by side: nothing is there twice, and no secret is lost."""

import random
import stat

import pytest

from line.wait import wait_until
from sandbox.client import Sandbox
from support.stripe_setup import (
    OLD, URL, calls, catalog_of, endpoint_args, everything, last, made_once, secret_of, set_up, start,
    writes
)


@pytest.fixture
def stripe():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


# The webhook endpoint.

def test_an_endpoints_secret_goes_to_its_file_and_nowhere_else(line, stripe):
    done = set_up(line, stripe, "per-seat", *endpoint_args(line))
    assert done.returncode == 0, done.stderr
    secret = secret_of(line)
    assert secret.startswith("whsec_") and secret not in done.stdout + done.stderr
    assert stat.S_IMODE((line.folder / "secret").stat().st_mode) == 0o600
    assert sorted(p.name for p in line.folder.iterdir() if p.name.startswith("secret")) == ["secret"]
    (endpoint,) = everything(stripe, "webhook_endpoint")
    assert endpoint["url"] == URL and endpoint["api_version"] == "2026-10-28.endive"
    assert {"customer.subscription.updated", "invoice.paid", "invoice_payment.paid"} <= set(endpoint["enabled_events"])
    again = set_up(line, stripe, "per-seat", *endpoint_args(line))
    assert again.returncode == 0 and last(again)["created"] == "0" and secret_of(line) == secret
    webhookd = line.start_webhookd(STRIPE_WEBHOOK_SECRET=None, STRIPE_WEBHOOK_SECRET_FILE=str(line.folder / "secret"),
                                   STRIPE_API_BASE=stripe.url)
    webhookd.wait_ready()


def test_an_answer_that_was_lost_is_asked_for_again(line, stripe):
    """Stripe made the endpoint, and we were killed before its secret was stored."""
    stripe.fault("delay", path="/v1/webhook_endpoints", method="POST", applied=True, delay_ms=3000, times=1)
    child = start(line, stripe, "per-seat", *endpoint_args(line))
    wait_until(lambda: everything(stripe, "webhook_endpoint"), 30, what="the endpoint")
    child.kill()
    child.wait()
    assert not (line.folder / "secret").exists()
    stripe.clear_faults()
    done = set_up(line, stripe, "per-seat", *endpoint_args(line))
    assert done.returncode == 0, done.stderr
    assert len(everything(stripe, "webhook_endpoint")) == 1 and secret_of(line).startswith("whsec_")
    assert set_up(line, stripe, "per-seat", *endpoint_args(line), "--check").returncode == 0


def test_another_version_of_the_api_is_a_second_endpoint(line, stripe):
    set_up(line, stripe, "per-seat", *endpoint_args(line), STRIPE_API_VERSION=OLD)
    first = secret_of(line)
    (old,) = everything(stripe, "webhook_endpoint")
    assert old["api_version"] == OLD and "invoice_payment.paid" not in old["enabled_events"]
    done = set_up(line, stripe, "per-seat", *endpoint_args(line))
    assert done.returncode == 0 and f"{old['id']} stays" in done.stdout, done.stdout
    assert sorted(e["api_version"] for e in everything(stripe, "webhook_endpoint")) == [OLD, "2026-10-28.endive"]
    new, kept = secret_of(line).split(",")
    assert kept == first and new != first
    again = set_up(line, stripe, "per-seat", *endpoint_args(line))
    assert last(again)["keep"] == "10" and f"{old['id']} leads there, too" in again.stdout
    stripe.api("DELETE", f"/v1/webhook_endpoints/{old['id']}")
    assert "leads there" not in set_up(line, stripe, "per-seat", *endpoint_args(line)).stdout


def test_a_secret_that_nobody_has_is_told(line, stripe):
    set_up(line, stripe, "per-seat", *endpoint_args(line))
    (line.folder / "secret").unlink()
    done = set_up(line, stripe, "per-seat", *endpoint_args(line))
    assert done.returncode == 1 and "put it there by hand, or delete the endpoint" in done.stdout
    assert len(everything(stripe, "webhook_endpoint")) == 1


# Faults.

@pytest.mark.parametrize("applied", [True, False])
def test_killed_at_any_point_it_goes_on(line, stripe, applied):
    """Each time some calls were answered; the last one was, or was not, carried out."""
    chance = random.Random(7)
    stripe.set(delay_ms=2)
    kills = 0
    while kills < 12:
        seen = len(writes(stripe))
        stop = seen + chance.randint(1, 7)
        stripe.fault("delay", method="POST", applied=applied, delay_ms=20, probability_percent=100)
        child = start(line, stripe, "metered", *endpoint_args(line))
        wait_until(lambda: len(writes(stripe)) >= stop or child.poll() is not None, 60, what="calls")  # noqa: B023
        if child.poll() is not None:
            break
        child.kill()
        child.wait()
        kills += 1
        stripe.clear_faults()
    stripe.clear_faults()
    done = set_up(line, stripe, "metered", *endpoint_args(line))
    assert done.returncode == 0, done.stderr
    assert kills > 5
    names = made_once(stripe, catalog_of("metered"))
    assert len(names["price"]) == 33 and None not in names["price"]
    assert secret_of(line).startswith("whsec_") and "," not in secret_of(line)
    assert set_up(line, stripe, "metered", *endpoint_args(line), "--check").returncode == 0


def test_answers_that_are_lost_or_refused_for_now_are_asked_for_again(line, stripe):
    stripe.fault("drop_after_apply", method="POST", probability_percent=15)
    stripe.fault("drop_before_apply", method="POST", probability_percent=5)
    stripe.fault("status", status=429, probability_percent=5)
    done = set_up(line, stripe, "metered")
    stripe.clear_faults()
    assert done.returncode == 0, done.stderr
    made_once(stripe, catalog_of("metered"))


def test_two_at_the_same_time_make_one_of_each(line, stripe):
    stripe.set(delay_ms=3)
    both = [start(line, stripe, "metered") for _ in range(2)]
    assert [child.wait(60) for child in both] == [0, 0], (line.folder / "setup.log").read_text()
    names = made_once(stripe, catalog_of("metered"))
    assert None not in names["price"]
