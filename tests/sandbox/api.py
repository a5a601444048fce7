"""The way of a request: key, rate limit, fault, idempotency, lane, handler, answer.

Handlers are plain functions that change the world at once; only the answer may be late. The answer
leaves on the next turn of the loop even without a delay, so that two calls that arrive together
meet each other in the lane and at the idempotency key.
"""
import json
import traceback

from . import control, meter_events, routes, versions
from .call import Answer
from .errors import StripeError
from .hosted import pages

# Has tokens instead of keys, and a larger budget of its own.
STREAM = "/v2/billing/meter_event_stream"


def dumps(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Api:
    def __init__(self, world):
        self.world = world

    def handle(self, call):
        world = self.world
        call.request_id = world.ids.request()
        if call.path.startswith("/_sandbox/"):
            self.finish(call, control.answer(world, call))
            return
        if call.path.startswith("/_pages/"):
            self.finish(call, pages.answer(world, call))
            return
        world.requests.note(call)
        call.version = call.headers.get("stripe-version") or versions.CURRENT
        if call.method == "POST":
            meter_events.note_arrival(world, call)
        try:
            if call.path != STREAM:
                world.keys.check(call)
                world.limiter.take()
        except StripeError as e:
            self.later(call, error_answer(e), world.options.delay_ms)
            return
        if call.lane is not None:
            world.lanes.meet(call)
        fault = world.faults.pick(call) if world.faults.list else None
        if fault is None:
            self.later(call, self.run(call), world.options.delay_ms)
        else:
            self.run_fault(call, fault)

    def run_fault(self, call, fault):
        wait_ms = fault.delay_ms or self.world.options.delay_ms
        if fault.kind == "hang" or not fault.applied:
            self.occupy(call)
        if fault.kind == "hang":
            call.on_leave = lambda: self.release(call, None)
        elif fault.kind == "drop_before_apply":
            self.wait(wait_ms, self.drop, call, None)
        elif fault.kind == "drop_after_apply":
            self.wait(wait_ms, self.drop, call, self.run(call))
        elif fault.kind == "delay" and fault.applied:
            self.later(call, self.run(call), wait_ms)
        elif fault.kind == "delay":
            self.wait(wait_ms, self.run_now, call)
        elif fault.applied:
            self.later(call, self.replace(call, self.run(call), fault), wait_ms)
        else:
            answer = fault_answer(fault)
            self.wait(wait_ms, self.refuse, call, answer)

    def replace(self, call, truth, fault):
        """The fault's answer instead of the true one; the key keeps the one that the fault says."""
        answer = fault_answer(fault)
        if call.key_entry is not None:
            self.world.idempotency.settle(call, answer if fault.stored else truth)
        return answer

    def refuse(self, call, answer):
        self.release(call, answer if answer.stored else None)
        self.finish(call, answer)

    def run_now(self, call):
        self.release(call, None)
        if not call.gone:
            self.finish(call, self.run(call))

    def occupy(self, call):
        """Hold the key and the lane as a call in progress does, without doing anything."""
        try:
            if self.world.idempotency.begin(call) is None and call.lane is not None:
                self.world.lanes.enter(call)
        except StripeError:
            pass

    def release(self, call, answer):
        self.world.idempotency.settle(call, answer)
        if call.lane is not None:
            self.world.lanes.leave(call)

    def drop(self, call, answer):
        self.release(call, answer)
        if call.connection is not None:
            call.connection.drop()

    def run(self, call):
        """Do the work. Any failure becomes an answer."""
        world = self.world
        world.agenda.run()
        try:
            replay = world.idempotency.begin(call)
            if replay is not None:
                return replay
            if call.lane is not None:
                world.lanes.enter(call)
            return Answer(200, routes.run(world, call))
        except StripeError as e:
            return error_answer(e)
        except Exception:
            traceback.print_exc()
            return error_answer(StripeError(500, "An unknown error occurred", type="api_error",
                                            began=True))

    def later(self, call, answer, wait_ms):
        self.wait(wait_ms, self.finish, call, answer)

    def wait(self, wait_ms, function, *args):
        if wait_ms:
            self.world.loop.call_later(wait_ms / 1000, function, *args)
        else:
            self.world.loop.call_soon(function, *args)

    def finish(self, call, answer):
        world = self.world
        if call.key_entry is not None:
            world.idempotency.settle(call, answer)
        if call.lane is not None:
            world.lanes.leave(call)
        if call.entry is not None and not call.gone:
            call.entry.status = answer.status
        if call.version is not None:
            answer.headers.setdefault("Stripe-Version", call.version)
        if world.options.verbose:
            world.complain("%s %s %d %s" % (call.method, call.path, answer.status, call.request_id))
        call.connection.answer(call, answer, world.clock.http_date())


def error_answer(error):
    headers = dict(error.headers)
    return Answer(error.status, error.body(), headers, stored=error.began)


def fault_answer(fault):
    body, headers = fault.body, dict(fault.headers)
    if body is None:
        kind = "api_error" if fault.status >= 500 else "invalid_request_error"
        code = {429: "rate_limit", 409: "lock_timeout"}.get(fault.status)
        body = StripeError(fault.status, "The sandbox was told to answer %d." % fault.status,
                           type=kind, code=code).body()
    elif isinstance(body, str):
        body = body.encode()
    else:
        body = dumps(body)
    return Answer(fault.status, body, headers, stored=fault.stored)
