"""Invoices over the API: what was invoiced, with lines and PDF; what will be, and would be if the subscription changed."""

import contextlib
import http.server
import json
import socket
import threading

import pytest

from line.line import TEST_WEBHOOK_SECRET
from support import api as support
from support import plans

INVOICES = "/api/billing/invoices"
PREVIEW = "/api/billing/subscription/preview"
PDF = b"%PDF-1.4\n" + bytes(range(256)) * 12000   # 3 MB


def usd(amount):
    return {"amount_minor": amount, "currency": "usd"}


class Files(http.server.BaseHTTPRequestHandler):
    """Whoever has a link can read; /start leads to /file as Stripe's links do."""

    def do_GET(self):
        self.server.seen.append(dict(self.headers))
        if self.path == "/start":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
            return
        body = {"/file": PDF, "/page": b"<html>log in", "/half": PDF}.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[:len(body) // 2] if self.path == "/half" else body)

    def log_message(self, *args):
        pass


@pytest.fixture(name="files")
def files_fixture():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Shop:
    def __init__(self, line, **settings):
        self.line, self.sandbox = line, line.start_sandbox(rate_per_s=0)
        webhookd = line.start_webhookd(WEBHOOKD_RATE_PER_S="1000").wait_ready()
        self.sandbox.webhook(f"http://127.0.0.1:{webhookd.port('webhooks')}/webhooks/stripe", enabled_events=["*"],
                             secret=TEST_WEBHOOK_SECRET)
        self.plans = plans.of_catalog(self.sandbox)
        self.api = support.start(line, API_STRIPE_RATE_PER_S="1000", **settings)
        self.viewer = self.api.with_key("viewer", "shop")
        self.subs = {tenant: self.subscribe(tenant) for tenant in ("acme", "globex")}
        line.wait_for(lambda: line.value("SELECT count(*) FROM invoices WHERE status = 'paid'") == 2, 30, "both are told")
        line.wait_for(lambda: not line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'"), 30, "all is worked")

    def must(self, path, **params):
        answer = self.sandbox.api("POST", "/v1/" + path, params)
        assert answer.status == 200, answer.json
        return answer.json

    def subscribe(self, tenant):
        customer = self.must("customers", metadata={"tenant": tenant}, payment_method="pm_card_visa",
                             invoice_settings={"default_payment_method": "pm_card_visa"})["id"]
        return self.must("subscriptions", customer=customer, metadata={"tenant": tenant}, billing_mode={"type": "flexible"},
                         items=[{"price": self.plans.prices["standard"], "quantity": 2}, {"price": self.plans.prices["standard_llm_tokens"]}])

    def invoice(self, tenant):
        return self.line.value("SELECT stripe_invoice_id FROM invoices WHERE tenant = %s", tenant)

    def link(self, id, url, **more):
        """What Stripe says of an invoice from now on."""
        self.sandbox.clear_faults()
        invoice = self.sandbox.api("GET", f"/v1/invoices/{id}").json
        self.sandbox.fault("status", method="GET", path=f"/v1/invoices/{id}", status=200, body={**invoice, "invoice_pdf": url, **more})


@pytest.fixture(name="shop")
def shop_fixture(line):
    return Shop(line, API_ALLOW_LOCAL_PDF="1", API_PDF_MAX_KB="4096")


def test_what_was_invoiced(shop):
    acme = shop.viewer.of("acme")
    listed, = acme.must("GET", INVOICES)["data"]
    read = acme.must("GET", f"{INVOICES}/{listed['id']}")
    assert {name: read[name] for name in listed} == listed and read["lines_missing"] is None
    assert read["total"] == usd(19800) and read["status"] == "paid" and read["has_pdf"]
    assert [(each["amount"], each["quantity"], each["price"]) for each in read["lines"]] == [
        (usd(19800), "2", shop.plans.prices["standard"])]
    assert acme.must("GET", INVOICES, query={"status": "draft"}) == {"data": [], "has_more": False}
    assert acme.must("GET", INVOICES, query={"starting_after": listed["id"]})["data"] == []
    assert acme.get(INVOICES, query={"status": "lost"}).param == "status"
    for path in ("", "/pdf"):
        other = shop.viewer.of("globex").get(f"{INVOICES}/{listed['id']}{path}")
        assert (other.status, other.json) == (404, acme.get(f"{INVOICES}/in_nothing{path}").json)
    assert acme.must("GET", INVOICES, query={"starting_after": shop.invoice("globex")})["data"] == [], "not the tenant's"
    shop.sandbox.fault("status", path="/v1/invoices", status=500)
    alone = acme.must("GET", f"{INVOICES}/{listed['id']}")
    assert alone["lines"] is None and alone["lines_missing"] and alone["total"] == usd(19800)


def test_pages_of_lines(shop):
    id = shop.invoice("acme")
    lines = [{"id": f"il_{n}", "object": "line_item", "amount": n, "currency": "usd", "description": f"line {n}",
              "period": {"start": 1800000000, "end": 1800000060}, "quantity": 1} for n in range(3)]
    path = f"/v1/invoices/{id}/lines"
    shop.sandbox.fault("status", method="GET", path=path, status=200, times=1,
                       body={"object": "list", "data": lines[:2], "has_more": True, "url": path})
    shop.sandbox.fault("status", method="GET", path=path, status=200, body={"object": "list", "data": lines[2:], "has_more": False})
    read = shop.viewer.of("acme").must("GET", f"{INVOICES}/{id}")
    assert [each["description"] for each in read["lines"]] == ["line 0", "line 1", "line 2"]
    asked = [r["target"] if "target" in r else r["path"] for r in shop.sandbox.control("GET", "/requests?path=" + path)["requests"]]
    assert len(asked) == 2


def test_the_pdf_of_an_own_invoice(shop, files):
    acme, id = shop.viewer.of("acme"), shop.invoice("acme")
    own = acme.get(f"{INVOICES}/{id}/pdf")
    assert own.status == 200 and own.body.startswith(b"%PDF-") and own.headers["Content-Type"] == "application/pdf", "the sandbox's own"
    shop.link(id, files.url + "/start")
    answer = acme.get(f"{INVOICES}/{id}/pdf")
    assert answer.status == 200 and answer.body == PDF
    assert answer.headers["Content-Type"] == "application/pdf" and answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert len(files.seen) == 2 and not [name for seen in files.seen for name in seen if name.lower() in ("authorization", "stripe-version")]
    assert shop.viewer.of("globex").get(f"{INVOICES}/{id}/pdf").status == 404
    shop.link(id, files.url + "/file", customer="cus_other")
    assert acme.get(f"{INVOICES}/{id}/pdf").status == 404, "Stripe says that it is another customer's"
    shop.link(id, None)
    assert acme.get(f"{INVOICES}/{id}/pdf").code == "no_pdf"
    for url in (files.url + "/page", files.url + "/nothing", "http://10.0.0.1/file", "https://10.0.0.1/file", "ftp://127.0.0.1/file"):
        shop.link(id, url)
        assert (acme.get(f"{INVOICES}/{id}/pdf").status, acme.get(f"{INVOICES}/{id}/pdf").code) == (502, "pdf_unavailable"), url


def test_half_a_pdf_is_cut_off_and_seen_as_such(shop, files):
    id = shop.invoice("acme")
    shop.link(id, files.url + "/half")
    with pytest.raises(http.client.IncompleteRead):
        shop.viewer.of("acme").get(f"{INVOICES}/{id}/pdf")


def test_a_pdf_may_be_read_slowly_and_left(shop, files):
    id = shop.invoice("acme")
    shop.link(id, files.url + "/file")
    request = (f"GET {INVOICES}/{id}/pdf HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.viewer.key}\r\n"
               "X-Tenant-Id: acme\r\nConnection: close\r\n\r\n").encode()
    with socket.socket() as left:
        left.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        left.connect(("127.0.0.1", shop.api.port))
        left.sendall(request)
        assert left.recv(1000).startswith(b"HTTP/1.1 200")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", shop.api.port))
        slow.sendall(request)
        came = b""
        while piece := slow.recv(16384):
            came += piece
    assert PDF[:1000] in came and len(came) > len(PDF)
    # It ends while one is being passed on: cut off, and nothing is left behind.
    with socket.socket() as late:
        late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        late.connect(("127.0.0.1", shop.api.port))
        late.sendall(request)
        assert late.recv(1000).startswith(b"HTTP/1.1 200")
        shop.api.stage.term()


def test_a_pdf_that_is_too_large_or_from_here_is_refused(line, files):
    shop = Shop(line, API_PDF_MAX_KB="64", API_ALLOW_LOCAL_PDF="1")
    acme, id = shop.viewer.of("acme"), shop.invoice("acme")
    shop.link(id, files.url + "/file")
    assert "larger" in acme.get(f"{INVOICES}/{id}/pdf").json["error"]["message"]
    strict = support.start(line, API_STRIPE_RATE_PER_S="1000").with_key("viewer", of="acme")
    for url in (files.url + "/file", "https://127.0.0.1:1/file", "https://localhost:1/file"):
        shop.link(id, url)
        assert strict.get(f"{INVOICES}/{id}/pdf").code == "pdf_unavailable"
    assert len(files.seen) == 1


def test_what_will_be_invoiced(shop):
    acme = shop.viewer.of("acme")
    shop.sandbox.fault("status", path="/v1/invoices/create_preview", status=500)
    found = acme.must("GET", f"{INVOICES}/upcoming")
    assert found["total"] == usd(19800) and found["difference"] is None and not found["stripe"]["asked"]
    assert [each["kind"] for each in found["lines"]] == ["fee", "usage"] and found["changes_at"] is None
    assert acme.must("POST", PREVIEW)["lines"] == found["lines"] == acme.must("POST", PREVIEW, {})["lines"]
    up = acme.must("POST", PREVIEW, {"plan": "enterprise"})
    assert up["changes_at"] == "now" and [each["kind"] for each in up["lines"]][:2] == ["proration", "proration"]
    assert usd(99800) in [each["amount"] for each in up["lines"]] and up["unknown"] == []
    later = acme.must("POST", PREVIEW, {"seats": 1})
    assert later["changes_at"] == "period_end" and later["total"] == usd(9900)
    year = acme.must("POST", PREVIEW, {"plan": "standard", "interval": "year"})
    assert year["at_once"] and usd(198000) in [each["amount"] for each in year["lines"]]
    later = acme.must("POST", PREVIEW, {"plan": "standard", "interval": "year", "at": "period_end"})
    assert not later["at_once"] and "interval" in later["stripe"]["why"] and usd(198000) in [each["amount"] for each in later["lines"]]
    for body, param in (({"plan": "nothing"}, "plan"), ({"plan": "NO!"}, "plan"), ({"seats": 0}, "seats"), ({"seats": "2"}, "seats"),
                        ({"at": "noon", "seats": 1}, "at"), ({"at": "now"}, "plan"), ({"x": 1}, "x")):
        answer = acme.post(PREVIEW, body)
        assert (answer.status, answer.param) == (400, param), answer
    assert shop.viewer.of("nobody").get(f"{INVOICES}/upcoming").code == "no_subscription"
    assert json.loads(shop.line.must("meterctl", "preview", "acme", "--json").stdout)["total"] == usd(19800)


def test_ours_beside_stripes(shop):
    acme = shop.viewer.of("acme")
    sub = shop.subs["acme"]
    theirs = {"id": "upcoming_in_1", "object": "invoice", "currency": "usd", "subtotal": 19800, "total": 19800, "amount_due": 19800,
              "total_taxes": [], "total_discount_amounts": [], "lines": {"object": "list", "has_more": False, "data": [
                  {"id": "il_1", "amount": 19800, "currency": "usd", "quantity": 2, "description": "2 × Standard",
                   "period": {"start": 1800000000, "end": 1802678400},
                   "pricing": {"price_details": {"price": shop.plans.prices["standard"]}}}]}}
    shop.sandbox.fault("status", path="/v1/invoices/create_preview", status=200, body=theirs)
    found = acme.must("GET", f"{INVOICES}/upcoming")
    assert found["stripe"]["total"] == usd(19800) and found["difference"]["total"] == usd(0)
    shown = json.loads(shop.line.must("meterctl", "preview", "acme", "--json").stdout)
    assert shown["difference"] == found["difference"] and shown["stripe"]["asked"]
    asked = shop.sandbox.control("GET", "/requests?path=/v1/invoices/create_preview")["requests"][-1]
    assert f"subscription={sub['id']}" in asked["body"]
