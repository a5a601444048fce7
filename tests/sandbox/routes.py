"""Which handler answers which URL. A handler is handler(world, call, *ids) -> object."""
import json
from importlib import import_module
from urllib.parse import unquote

from . import expand, parameters, versions
from .errors import unknown_url

TABLE = [line.split() for line in """
POST   /v1/billing/meter_events                          meter_events.create
GET    /v1/account                                       account.retrieve
POST   /v1/customers                                     customers.create
GET    /v1/customers                                     customers.list_all
GET    /v1/customers/search                              customers.find
GET    /v1/customers/{}                                  customers.retrieve
POST   /v1/customers/{}                                  customers.update
DELETE /v1/customers/{}                                  customers.delete
DELETE /v1/customers/{}/discount                         billing.discounts.delete_of_customer
GET    /v1/customers/{}/payment_methods                  payments.methods.list_of_customer
GET    /v1/customers/{}/payment_methods/{}               payments.methods.retrieve_of_customer
POST   /v1/payment_methods                               payments.methods.create
GET    /v1/payment_methods                               payments.methods.list_all
GET    /v1/payment_methods/{}                            payments.methods.retrieve
POST   /v1/payment_methods/{}                            payments.methods.update
POST   /v1/payment_methods/{}/attach                     payments.methods.attach
POST   /v1/payment_methods/{}/detach                     payments.methods.detach
POST   /v1/setup_intents                                 payments.setup_intents.create
GET    /v1/setup_intents/{}                              payments.setup_intents.retrieve
POST   /v1/setup_intents/{}/confirm                      payments.setup_intents.confirm
POST   /v1/setup_intents/{}/cancel                       payments.setup_intents.cancel
POST   /v1/payment_intents                               payments.intents.create
GET    /v1/payment_intents                               payments.intents.list_all
GET    /v1/payment_intents/{}                            payments.intents.retrieve
POST   /v1/payment_intents/{}/confirm                    payments.intents.confirm
POST   /v1/payment_intents/{}/cancel                     payments.intents.cancel
GET    /v1/charges                                       payments.intents.list_charges
GET    /v1/charges/{}                                    payments.intents.retrieve_charge
POST   /v1/refunds                                       payments.refunds.create
GET    /v1/refunds                                       payments.refunds.list_all
GET    /v1/refunds/{}                                    payments.refunds.retrieve
POST   /v1/products                                      products.create
GET    /v1/products                                      products.list_all
GET    /v1/products/{}                                   products.retrieve
POST   /v1/products/{}                                   products.update
DELETE /v1/products/{}                                   products.delete
POST   /v1/prices                                        prices.create
GET    /v1/prices                                        prices.list_all
GET    /v1/prices/{}                                     prices.retrieve
POST   /v1/prices/{}                                     prices.update
POST   /v1/subscriptions                                 subscriptions.create
GET    /v1/subscriptions                                 subscriptions.list_all
GET    /v1/subscriptions/{}                              subscriptions.retrieve
POST   /v1/subscriptions/{}                              subscriptions.update
DELETE /v1/subscriptions/{}                              subscriptions.cancel
POST   /v1/subscriptions/{}/pause                        subscriptions.pausing.pause
POST   /v1/subscriptions/{}/resume                       subscriptions.pausing.resume
POST   /v1/subscriptions/{}/migrate                      subscriptions.migrate
DELETE /v1/subscriptions/{}/discount                     billing.discounts.delete_of_subscription
POST   /v1/subscription_schedules                        subscriptions.schedules.create
GET    /v1/subscription_schedules                        subscriptions.schedules.list_all
GET    /v1/subscription_schedules/{}                     subscriptions.schedules.retrieve
POST   /v1/subscription_schedules/{}                     subscriptions.schedules.update
POST   /v1/subscription_schedules/{}/release             subscriptions.schedules.release
POST   /v1/subscription_schedules/{}/cancel              subscriptions.schedules.cancel
POST   /v1/subscription_items                            subscription_items.create
GET    /v1/subscription_items                            subscription_items.list_all
GET    /v1/subscription_items/{}                         subscription_items.retrieve
POST   /v1/subscription_items/{}                         subscription_items.update
DELETE /v1/subscription_items/{}                         subscription_items.delete
POST   /v1/subscription_items/{}/usage_records           usage_records.create
GET    /v1/subscription_items/{}/usage_record_summaries  usage_records.summaries
POST   /v1/billing/meters                                meters.create
GET    /v1/billing/meters                                meters.list_all
GET    /v1/billing/meters/{}                             meters.retrieve
POST   /v1/billing/meters/{}                             meters.update
POST   /v1/billing/meters/{}/deactivate                  meters.deactivate
POST   /v1/billing/meters/{}/reactivate                  meters.reactivate
GET    /v1/billing/meters/{}/event_summaries             summaries.list_all
POST   /v1/billing/meter_event_adjustments               adjustments.create
POST   /v2/billing/meter_events                          meter_events.create_v2
POST   /v2/billing/meter_event_adjustments               adjustments.create_v2
POST   /v2/billing/meter_event_session                   stream.open_session
POST   /v2/billing/meter_event_stream                    stream.create
POST   /v1/invoices/create_preview                       billing.preview.create
GET    /v1/invoices/upcoming                             billing.preview.upcoming
POST   /v1/invoices                                      invoices.create
GET    /v1/invoices                                      invoices.list_all
GET    /v1/invoices/{}                                   invoices.retrieve
POST   /v1/invoices/{}                                   invoices.update
DELETE /v1/invoices/{}                                   invoices.delete
GET    /v1/invoices/{}/lines                             invoices.list_lines
POST   /v1/invoices/{}/finalize                          invoices.finalize
POST   /v1/invoices/{}/pay                               invoices.pay
POST   /v1/invoices/{}/void                              invoices.void
POST   /v1/invoices/{}/mark_uncollectible                invoices.mark_uncollectible
POST   /v1/invoices/{}/send                              invoices.send
GET    /v1/invoice_payments                              invoices.list_payments
POST   /v1/checkout/sessions                             hosted.checkout.create
GET    /v1/checkout/sessions                             hosted.checkout.list_all
GET    /v1/checkout/sessions/{}                          hosted.checkout.retrieve
POST   /v1/checkout/sessions/{}                          hosted.checkout.update
POST   /v1/checkout/sessions/{}/expire                   hosted.checkout.expire
GET    /v1/checkout/sessions/{}/line_items               hosted.checkout.list_line_items
GET    /v1/payment_pages/{}                              hosted.payment_pages.retrieve
POST   /v1/payment_pages/{}/confirm                      hosted.payment_pages.confirm
POST   /v1/billing_portal/sessions                       hosted.portal.create_session
POST   /v1/billing_portal/configurations                 hosted.portal.create_configuration
GET    /v1/billing_portal/configurations                 hosted.portal.list_configurations
GET    /v1/billing_portal/configurations/{}              hosted.portal.retrieve_configuration
POST   /v1/billing_portal/configurations/{}              hosted.portal.update_configuration
POST   /v1/invoiceitems                                  billing.invoice_items.create
GET    /v1/invoiceitems                                  billing.invoice_items.list_all
GET    /v1/invoiceitems/{}                               billing.invoice_items.retrieve
DELETE /v1/invoiceitems/{}                               billing.invoice_items.delete
POST   /v1/tax_rates                                     billing.taxes.create
GET    /v1/tax_rates                                     billing.taxes.list_all
GET    /v1/tax_rates/{}                                  billing.taxes.retrieve
POST   /v1/tax_rates/{}                                  billing.taxes.update
POST   /v1/coupons                                       billing.coupons.create
GET    /v1/coupons                                       billing.coupons.list_all
GET    /v1/coupons/{}                                    billing.coupons.retrieve
POST   /v1/coupons/{}                                    billing.coupons.update
DELETE /v1/coupons/{}                                    billing.coupons.delete
GET    /v1/events                                        endpoints.list_events
GET    /v1/events/{}                                     endpoints.retrieve_event
GET    /v2/core/events/{}                                endpoints.retrieve_thin_event
POST   /v1/webhook_endpoints                             endpoints.create
GET    /v1/webhook_endpoints                             endpoints.list_all
GET    /v1/webhook_endpoints/{}                          endpoints.retrieve
POST   /v1/webhook_endpoints/{}                          endpoints.update
DELETE /v1/webhook_endpoints/{}                          endpoints.delete
""".strip().splitlines()]


def handler_of(name):
    module, _, function = name.rpartition(".")
    return getattr(import_module("." + module, __package__), function)


FIXED, WITH_ID = {}, {}
for method, path, name in TABLE:
    if "{}" in path:
        WITH_ID[method, tuple(path.split("/"))] = handler_of(name), method + " " + path
    else:
        FIXED[method, path] = handler_of(name), method + " " + path
# They look themselves: the hot path, and bodies of JSON.
UNCHECKED = ("POST /v1/billing/meter_events", "POST /v2/")


def find(call):
    """(handler, ids, operation)"""
    found = FIXED.get((call.method, call.path))
    if found is not None:
        return found[0], (), found[1]
    parts = [unquote(part) for part in call.path.split("/")]
    for places in ((3,), (4,), (3, 5)):
        # /v1/customers/{}, /v1/billing/meters/{}/deactivate, /v1/customers/{}/payment_methods/{}
        if len(parts) > places[-1] and all(parts[place] for place in places):
            shape = tuple("{}" if i in places else part for i, part in enumerate(parts))
            found = WITH_ID.get((call.method, shape))
            if found is not None:
                return found[0], tuple(parts[place] for place in places), found[1]
    raise unknown_url(call.method, call.path)


def run(world, call):
    """The answer's bytes."""
    handler, ids, operation = find(call)
    if not operation.startswith(UNCHECKED):
        parameters.check(operation, call.params, call.version)
    result = handler(world, call, *ids)
    if isinstance(result, bytes):
        return result           # the hot path makes its own
    wanted = expand.wanted(call)
    if isinstance(result, versions.Shown):
        return json.dumps(result, indent=2).encode()
    shown = versions.public(result, call.version, wanted)
    if wanted:
        expand.apply(world, shown, wanted, call.version)
    return json.dumps(shown, indent=2).encode()
