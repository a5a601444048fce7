"""Our preview of the next invoice equals what the sandbox then invoices, to the last minor unit: subscriptions at random,
by a seed. SUBSCRIPTIONS=500 makes so many; `make test` makes fewer."""

import datetime
import json
import os

import pytest

from support.preview_shop import DAY, UTC, Shop, lines_of, own_lines, own_sums, sums_of
from support.seeds import new_seed

COUNT = int(os.environ.get("SUBSCRIPTIONS") or 40)


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


def test_the_next_invoice_is_the_one_that_comes(shop):
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
    at = shop.now()
    previews = {sub["id"]: shop.preview(sub, at) for sub in shop.subs}
    shop.stage.close()
    shop.until(at + 400 * DAY)
    faults, compared = [], 0
    for sub in shop.subs:
        preview, invoice = previews[sub["id"]], shop.next_invoice(sub, at)
        if not invoice:
            if preview and preview["upcoming"]:
                faults.append(f"no invoice came: {sub['id']} {own_sums(preview)} {json.dumps(sub['story'])}")
            continue
        compared += 1
        if not preview or preview["unknown"] or own_sums(preview) != sums_of(invoice):
            faults.append(fault(sub, preview, invoice, "the next invoice"))
    print("\n".join(faults))
    assert not faults, f"{len(faults)} of {compared}"
    assert compared > COUNT * 0.7
