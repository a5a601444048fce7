"""Everything the sandbox knows, in one place, so that a reset is one call."""
import sys

from . import customers
from .agenda import Agenda
from .clock import Clock
from .events import Events
from .faults import Faults
from .idempotency import Idempotency
from .ids import Ids
from .keys import Keys
from .lanes import Lanes
from .limiter import Limiter
from .meter_errors import MeterErrors
from .requests import Requests
from .search import Index
from .store import Collection
from .usage import Usage
from .webhooks import Webhooks

KINDS = ("customer", "product", "price", "subscription", "subscription_item", "billing.meter",
         "webhook_endpoint", "invoice", "payment_method", "payment_intent", "setup_intent", "charge",
         "refund", "invoiceitem", "invoice_payment", "tax_rate", "coupon", "discount",
         "subscription_schedule", "checkout.session", "billing_portal.session",
         "billing_portal.configuration")


class World:
    def __init__(self, options, loop):
        self.options, self.loop = options, loop
        self.webhooks = self.agenda = None
        self.reset()

    def reset(self):
        if self.webhooks is not None:
            self.webhooks.stop()
            self.agenda.stop()
        self.clock = Clock()
        self.ids = Ids(self.options.seed)
        self.limiter = Limiter(self.options.rate_per_s)
        self.keys = Keys()
        self.lanes = Lanes()
        self.faults = Faults(self.ids.random)
        self.idempotency = Idempotency(self.clock)
        self.requests = Requests(self.clock)
        self.objects = {kind: Collection(kind) for kind in KINDS}
        self.meters_by_event_name = {}
        self.subscriptions_by_customer = {}
        self.payment_methods_by_customer = {}
        self.invoices_by_customer = {}
        self.pending_by_customer = {}       # customer -> invoice items that wait
        self.invoice_links = {}             # the secret of a page -> invoice
        self.portal_links = {}              # the secret of a page -> portal session
        self.coupons_kept = {}              # deleted, but somebody has them
        self.customers_kept = {}            # deleted, but on invoices
        self.deleted_customers = {}
        self.lookup_keys = {}               # lookup_key -> price
        self.indexes = {"customer": Index(self.clock, customers.SEARCHED, self.options.search_lag_ms)}
        self.usage = Usage(self.clock)
        self.usage_records = {}             # subscription item -> {timestamp: quantity}
        self.sessions = {}                  # meter event stream token -> expires_at
        self.events = Events(self)
        self.webhooks = Webhooks(self)
        self.meter_errors = MeterErrors(self)
        self.agenda = Agenda(self)

    def of(self, kind):
        return self.objects[kind]

    def url_of(self, call=None):
        """Where our pages are, as the caller reaches us."""
        host = call.headers.get("host") if call and hasattr(call, "headers") else None
        return self.options.url if host is None else self.options.url.partition("://")[0] + "://" + host

    def complain(self, text):
        if self.options.verbose:
            print("sandbox: " + text, file=sys.stderr, flush=True)
