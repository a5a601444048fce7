"""What tests of `meterctl stripe setup` share: running it, and looking at the account."""

import json

from line import process
from line.paths import ROOT
from line.stages import DEFAULTS, program

CATALOGS = ROOT / "deploy/catalogs"
URL = "https://billing.example.com/webhooks/stripe"
OLD = "2024-06-20"
LISTS = {"product": "/v1/products", "meter": "/v1/billing/meters", "price": "/v1/prices", "tax_rate": "/v1/tax_rates",
         "portal": "/v1/billing_portal/configurations", "webhook_endpoint": "/v1/webhook_endpoints"}


def settings_of(stripe, **settings):
    return {"STRIPE_API_BASE": stripe.url, "SINK_RECONCILE_RATE_PER_S": "1000", **settings}


def set_up(line, stripe, catalog, *args, **settings):
    """catalog: a name in deploy/catalogs, or a catalog."""
    return line.meterctl("stripe", "setup", file_of(line, catalog), *args, **settings_of(stripe, **settings))


def file_of(line, catalog):
    if isinstance(catalog, str):
        return CATALOGS / f"{catalog}.json"
    path = line.folder / "setup.json"
    path.write_text(json.dumps(catalog))
    return path


def catalog_of(name):
    return json.loads((CATALOGS / f"{name}.json").read_text())


def everything(stripe, kind, **query):
    found = []
    while True:
        page = stripe.api("GET", LISTS[kind], {"limit": 100, **query}).json
        found += page["data"]
        if not page["has_more"]:
            return found[::-1]
        query["starting_after"] = page["data"][-1]["id"]


def account(stripe):
    return {kind: everything(stripe, kind) for kind in LISTS}


def prices(stripe):
    return {p["lookup_key"]: p for p in everything(stripe, "price", expand=["data.tiers"])}


def last(done):
    return dict(pair.split("=") for pair in done.stdout.splitlines()[-1].split()[1:])


def calls(stripe, since=0):
    return [f"{r['method']} {r['path']}" for r in stripe.requests(limit=100000)[since:]]


def writes(stripe, since=0):
    return [call for call in calls(stripe, since) if not call.startswith("GET ")]


def made_once(stripe, catalog):
    """What there is of each, by its name; fails where something is there twice."""
    found = account(stripe)
    names = {"product": [p["id"] for p in found["product"]], "meter": [m["event_name"] for m in found["meter"]],
             "price": [p["lookup_key"] for p in found["price"]], "tax_rate": [t["display_name"] for t in found["tax_rate"]],
             "portal": [p["metadata"]["meterline"] for p in found["portal"]],
             "webhook_endpoint": [e["url"] for e in found["webhook_endpoint"]]}
    for kind, each in names.items():
        assert len(set(each)) == len(each), (kind, sorted(each))
    metered = [m["metric"] for m in catalog["metrics"] if m.get("transport") != "none"]
    assert set(names["product"]) == {f"ml_{p['plan']}" for p in catalog["plans"]} | {f"ml_{m}" for m in metered}
    assert set(names["meter"]) == {m["stripe_event_name"] for m in catalog["metrics"] if m["metric"] in metered}
    return names


def endpoint_args(line):
    return "--webhook-url", URL, "--secret-file", line.folder / "secret"


def secret_of(line):
    return (line.folder / "secret").read_text().strip()


def start(line, stripe, catalog, *args, **settings):
    env = {**DEFAULTS, **line.env(**settings_of(stripe, **settings))}
    command = [program("meterctl"), "stripe", "setup", str(file_of(line, catalog)), *map(str, args)]
    with open(line.folder / "setup.log", "ab") as log:
        return process.spawn(command, env=env, stdout=log, stderr=log)
