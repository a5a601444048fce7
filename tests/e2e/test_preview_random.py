"""Our preview of the next invoice equals what the sandbox then invoices, to the last minor unit: subscriptions at random,
by a seed. SUBSCRIPTIONS=500 makes so many; `make test` makes fewer."""

import datetime
import json
import os

import pytest

from support.preview_shop import DAY, REFUSED, UTC, Shop, lines_of, own_lines, own_sums, sums_of
from support.seeds import new_seed

COUNT = int(os.environ.get("SUBSCRIPTIONS") or 25)


def last_of_january():
    """Ahead of us, so that every month's last day comes."""
    now = datetime.datetime.now(UTC)
    return int(datetime.datetime(now.year + 1, 1, 31, 12, 0, 7, tzinfo=UTC).timestamp())


@pytest.fixture(name="shop")
def shop_fixture(line):
    line.start_sandbox(rate_per_s=0)
    catalog = json.loads(line.must("meterctl", "catalog", "show").stdout)
    catalog["tax_rounding"] = "invoice"   # as the sandbox does it
    line.must("meterctl", "catalog", "apply", "-", input=json.dumps(catalog))
    return Shop(line, new_seed(), last_of_january())


def fault(sub, preview, invoice, what):
    return "\n".join((f"{what}: {sub['id']} of {sub['tenant']}", f"  ours    {own_sums(preview)} {own_lines(preview)}",
                      f"  sandbox {sums_of(invoice)} {lines_of(invoice)}", f"  {json.dumps(sub['story'])}"))


def live(shop):
    """Ten days, with usage and changes. Returns when they end."""
    start = shop.now()
    for number in range(COUNT):
        shop.subscribe(number)
    shop.settle()
    for day in (1, 4, 9):
        shop.until(start + day * DAY + shop.random.randrange(DAY // 2))
        shop.settle()
        for sub in shop.subs:
            shop.use(sub)
        shop.until(shop.now() + 60 * shop.random.randrange(2, 200))
        for sub in shop.subs:
            if shop.random.random() < 0.3:
                shop.change(sub)
        shop.settle()
    return shop.now()


def test_the_next_invoice_is_the_one_that_comes(shop):
    """Our preview is what Stripe's is, as it is and after a change; and it is the invoice that then comes."""
    live(shop)
    wishes = {sub["id"]: shop.what_if(sub) for sub in shop.subs}
    shop.settle()
    faults, alike, not_asked, refused, at = [], 0, 0, 0, shop.now()
    previews = {sub["id"]: shop.preview(sub, at) for sub in shop.subs}
    for sub in shop.subs:
        for wish in [{}] + [wish for wish in [wishes[sub["id"]]] if wish]:
            ours = shop.preview(sub, at, wish) if wish else previews[sub["id"]]
            if not ours or "error" in ours or ours["request"] is None:
                not_asked += 1
                continue
            theirs = shop.ask_preview(ours)
            if theirs == REFUSED:
                refused += 1
                continue
            both = shop.compare(ours, theirs)
            alike += both["difference"]["agrees"]
            if not both["difference"]["agrees"]:
                faults.append(fault(sub, ours, theirs, f"the preview of {wish}") if theirs else
                              f"{wish}: Stripe has nothing, we have {own_sums(ours)} {own_lines(ours)} {json.dumps(sub['story'])}")
    shop.pass_unheard(days=400)
    came = 0
    for sub in shop.subs:
        preview, invoice = previews[sub["id"]], shop.next_invoice(sub, at)
        came += bool(invoice)
        # Items that wait when a trial is canceled at its end: the sandbox previews them, and then leaves them for later.
        waits = preview and all(each["kind"] == "pending" for each in preview["lines"])
        if not invoice and preview and preview["upcoming"] and not waits:
            faults.append(f"no invoice came: {sub['id']} {own_sums(preview)} {json.dumps(sub['story'])}")
        elif invoice and (not preview or preview["unknown"] or own_sums(preview) != sums_of(invoice)):
            faults.append(fault(sub, preview, invoice, "the next invoice"))
    print("\n".join(faults))
    print(f"{came} invoices came, {alike} previews are alike, {not_asked} were no question for Stripe, {refused} it refused")
    assert not faults, f"{len(faults)} differ"
    assert came > COUNT * 0.7 and alike > COUNT * 1.2, "nearly all were compared"
