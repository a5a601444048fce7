"""Clients of webhookd that are slow, many or cunning: none of them keeps Stripe out."""

import json
import os
import pathlib
import re
import socket
import time

import pytest

from support.webhooks import Events, customer, post, signature

EVENTS = Events()
LIMIT = 1000  # connections


@pytest.fixture
def webhookd(line):
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    return line.start_webhookd(STRIPE_SECRET_KEY=None, ASAN_OPTIONS=options).wait_ready()


@pytest.fixture
def crowd(webhookd):
    """crowd(n, bytes): so many clients that send that much and no more."""
    sockets = []

    def gather(count, data, host="127.0.0.1"):
        for _ in range(count):
            client = socket.create_connection((host, webhookd.port("webhooks")), timeout=20)
            sockets.append(client)
            client.sendall(data)
        return sockets

    yield gather
    for client in sockets:
        client.close()


def deliver_in_time(stage, most_s=3):
    begun = time.monotonic()
    assert post(stage, EVENTS.make("customer.created", customer())) == (200, '{"received":true}')
    assert time.monotonic() - begun < most_s


def memory_mib(stage, name):
    text = pathlib.Path(f"/proc/{stage.pid}/status").read_text(encoding="ascii")
    return int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024


def is_open(client):
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


@pytest.mark.parametrize("data", [b"", b"POST /webhooks/str", b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Le",
                                  b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"])
def test_more_slow_clients_than_fit_keep_nobody_out(line, webhookd, crowd, data):
    crowd(LIMIT + 200, data)
    for _ in range(5):
        deliver_in_time(webhookd)
    assert "too many clients are connected" in webhookd.get("/readyz")[1]
    assert webhookd.metric("meterline_http_cut_total", reason="crowded") >= 200
    assert webhookd.wait_log("connection_cut")["reason"] == "crowded"


def test_a_client_has_a_deadline_for_each_request(line, webhookd, crowd):
    slow, *_ = crowd(1, b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n")
    begun = time.monotonic()
    while is_open(slow) and time.monotonic() - begun < 30:
        try:
            slow.send(b" ")
        except OSError:
            break
        time.sleep(0.5)
    assert 9 < time.monotonic() - begun < 20
    assert webhookd.metric("meterline_http_cut_total", reason="slow") == 1
    deliver_in_time(webhookd)


def test_held_bodies_take_bounded_memory(line, webhookd, crowd):
    head = b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    before = memory_mib(webhookd, "VmRSS")
    crowd(300, head + b"x" * 250_000)
    for _ in range(5):
        deliver_in_time(webhookd)
    peak = memory_mib(webhookd, "VmHWM")
    print("MiB before and at most:", before, peak)
    assert peak - before < 52, "a release takes 10 MiB at rest, and stays below 64"
    assert webhookd.metric("meterline_http_cut_total", reason="memory") > 100


def exchange(stage, head, body):
    with socket.create_connection(("127.0.0.1", stage.port("webhooks")), timeout=20) as client:
        client.sendall(head.encode() + b"\r\n\r\n" + body)
        answer = b""
        while part := client.recv(4096):
            answer += part
        return answer.decode()


@pytest.mark.parametrize("lengths", ["Content-Length: {0}\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length: {0}",
                                     "Transfer-Encoding: chunked\r\nContent-Length: {0}"])
def test_a_body_that_ends_in_two_places_is_refused(line, webhookd, lengths):
    body = json.dumps(EVENTS.make("customer.created", customer())).encode()
    data = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if "chunked" in lengths else body
    answer = exchange(webhookd, "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: " + signature(body) + "\r\n"
                      + lengths.format(len(body)), data)
    assert answer.startswith("HTTP/1.1 400") and answer.count("HTTP/1.1") == 1
    assert webhookd.metric("meterline_http_cut_total", reason="two_lengths") == 1
    assert line.sql("SELECT count(*) FROM webhook_events") == [(0,)]


def test_the_same_length_twice_is_no_fault(line, webhookd):
    body = json.dumps(EVENTS.make("customer.created", customer())).encode()
    answer = exchange(webhookd, "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nConnection: close\r\nStripe-Signature: "
                      + signature(body) + f"\r\nContent-Length: {len(body)}\r\nContent-Length: {len(body)}", body)
    assert answer.startswith("HTTP/1.1 200")


def test_paths_and_size_are_settings(line):
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_PATH="/hooks/a,/b", WEBHOOKD_BODY_MAX_KB="16").wait_ready()
    small = EVENTS.make("customer.created", customer())
    assert post(stage, small, path="/hooks/a")[0] == post(stage, small, path="/b")[0] == 200
    for path in ("/webhooks/stripe", "/", "/hooks", "/hooks/a,/b", "/hooks/a/", "/b/c"):
        assert post(stage, small, path=path)[0] == 404, path
    large = EVENTS.make("customer.created", customer(email="x" * 17000))
    status, text = post(stage, large, path="/b")
    assert status == 413 and "WEBHOOKD_BODY_MAX_KB" in text
    for wrong in ("webhooks", "/a,b", "/a,", ","):
        done = line.run("webhookd", WEBHOOKD_PATH=wrong)
        assert done.returncode == 2 and "WEBHOOKD_PATH" in done.stderr, wrong
