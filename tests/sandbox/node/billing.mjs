// What Stripe's official clients for Node, the newest and that of 2024, read of subscriptions that are billed; prints it as JSON.
// usage: node billing.mjs FOLDER-WITH-node_modules HOST PORT
import {createRequire} from 'node:module';
import path from 'node:path';

const [folder, host, port] = process.argv.slice(2);
const require = createRequire(path.join(folder, 'x.js'));
const seen = {};

for (const name of ['stripe', 'stripe16']) {
  const Stripe = require(name);
  const stripe = new Stripe('sk_test_node', {host, port: Number(port), protocol: 'http', telemetry: false});
  const customer = await stripe.customers.create({
    payment_method: 'pm_card_visa', invoice_settings: {default_payment_method: 'pm_card_visa'}});
  const product = await stripe.products.create({name: 'Seats'});
  const price = await stripe.prices.create({
    currency: 'usd', unit_amount: 500, product: product.id, recurring: {interval: 'month'}});
  const rate = await stripe.taxRates.create({display_name: 'VAT', percentage: 8, inclusive: false});
  const subscription = await stripe.subscriptions.create({
    customer: customer.id, items: [{price: price.id, quantity: 2}], default_tax_rates: [rate.id], expand: ['latest_invoice']});
  const invoice = subscription.latest_invoice;
  const preview = await stripe.invoices.createPreview({subscription: subscription.id});
  const session = await stripe.checkout.sessions.create({
    mode: 'subscription', success_url: 'https://x.test/', line_items: [{price: price.id, quantity: 1}]});
  await stripe.billingPortal.configurations.create({
    features: {invoice_history: {enabled: true}}, business_profile: {headline: 'x'}});
  const portal = await stripe.billingPortal.sessions.create({customer: customer.id, return_url: 'https://x.test/'});
  const schedule = await stripe.subscriptionSchedules.create({from_subscription: subscription.id});
  const lines = await stripe.invoices.listLineItems(invoice.id);
  const declined = await stripe.paymentMethods.attach('pm_card_chargeDeclined', {customer: customer.id}).catch((e) => e);
  const types = ['customer.subscription.created', 'invoice.paid'];
  const events = await stripe.events.list({types, limit: 2});
  seen[name] = {
    status: subscription.status, invoice: [invoice.status, invoice.total], preview: preview.total,
    declined: [declined.type, declined.code], checkout: [session.status, session.url.startsWith('http')],
    portal: portal.url.includes('/_pages/portal/'), schedule: schedule.status, lines: lines.data.length,
    events: events.data.map((event) => event.type).sort()};
}
console.log(JSON.stringify(seen));
