"""Stripe's own triggers run against the sandbox: its official command-line program posts its fixtures, unmodified, and the event
that it names has come in the end."""
import os
import subprocess

import pytest

from line import npm
from sandbox.client import Sandbox

CLI = {"cli": "@stripe/cli@1.52.0"}
OLD = "2024-06-20"      # some fixtures have words that newer versions refuse
RUN_S = 60

# The trigger -> the event that shows it; its own name where nothing stands.
NOW = ["customer.created", "customer.updated", "customer.deleted", "customer.subscription.created",
       "customer.subscription.updated", "customer.subscription.deleted", "customer.subscription.trial_will_end",
       "customer.subscription.paused", "invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed",
       "invoice.payment_action_required", "invoice.created", "invoice.updated", "invoice.deleted", "invoice.finalized",
       "invoice.voided", "invoice.marked_uncollectible", "invoice.sent", "invoiceitem.created", "invoiceitem.deleted",
       "checkout.session.completed", "checkout.session.expired", "charge.succeeded", "charge.failed", "charge.refunded",
       "payment_intent.created", "payment_intent.succeeded", "payment_intent.payment_failed",
       "payment_intent.requires_action", "payment_intent.canceled", "payment_method.attached", "payment_method.detached",
       "payment_method.updated", "price.created", "price.updated", "product.created", "product.updated",
       "product.deleted", "coupon.created", "coupon.updated", "coupon.deleted", "tax_rate.created", "tax_rate.updated",
       "billing_portal.configuration.created", "billing_portal.configuration.updated", "billing_portal.session.created",
       "subscription.payment_succeeded", "subscription.payment_failed"]
BEFORE = ["customer.subscription.created", "invoice.paid", "invoice.payment_action_required", "customer.discount.created",
          "customer.discount.updated", "customer.discount.deleted", "setup_intent.created", "setup_intent.succeeded",
          "setup_intent.setup_failed", "setup_intent.requires_action", "setup_intent.canceled",
          "subscription_schedule.created", "subscription_schedule.updated", "subscription_schedule.released",
          "subscription_schedule.canceled"]
SHOWN_BY = {"subscription.payment_succeeded": "invoice.payment_succeeded", "subscription.payment_failed": "invoice.payment_failed"}


@pytest.fixture(scope="module")
def program():
    try:
        folder = npm.folder(npm.FOLDER.with_name("node_cli"), CLI)
    except npm.Missing as why:
        pytest.skip(str(why))
    found = sorted((folder / "node_modules" / "@stripe").glob("cli-*/bin/stripe"))
    if not found:
        pytest.skip("npm has no stripe program for this machine")
    return found[0]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


@pytest.mark.parametrize("trigger, version", [(name, None) for name in NOW] + [(name, OLD) for name in BEFORE])
def test_trigger(sandbox, program, tmp_path, trigger, version):
    sandbox.reset()
    # An account has saved its portal's settings; the fixture counts on it.
    sandbox.api("POST", "/v1/billing_portal/configurations", {
        "features": {"invoice_history": {"enabled": True}}, "default_return_url": "https://shop.test/"})
    command = [program, "trigger", trigger, "--api-key", "sk_test_1234567890123456", "--api-base", sandbox.url]
    done = subprocess.run(command + (["--api-version", version] if version else []), capture_output=True, text=True,
                          timeout=RUN_S, env={**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path),
                                              "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    events = sandbox.api("GET", "/v1/events", {"limit": 100}).json["data"]
    assert SHOWN_BY.get(trigger, trigger) in [event["type"] for event in events], done.stdout
