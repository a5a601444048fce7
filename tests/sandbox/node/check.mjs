// Talks to a sandbox with the official client for Node, unmodified, and prints what it saw as JSON.
// usage: node check.mjs FOLDER-WITH-node_modules HOST PORT
import {createRequire} from 'node:module';
import http from 'node:http';
import path from 'node:path';

const [folder, host, port] = process.argv.slice(2);
const Stripe = createRequire(path.join(folder, 'x.js'))('stripe');
const options = {
  host, port: Number(port), protocol: 'http', maxNetworkRetries: 2, telemetry: false};
const stripe = new Stripe('sk_test_node', options);
const seen = {};

const arrived = [];
const receiver = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    arrived.push({body: Buffer.concat(parts), signature: request.headers['stripe-signature']});
    response.end('ok');
  });
});
await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve));

async function until(condition, what) {
  const end = Date.now() + 10000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error('not in time: ' + what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const endpoint = await stripe.webhookEndpoints.create({
  url: `http://127.0.0.1:${receiver.address().port}/`, enabled_events: ['*']});
const customer = await stripe.customers.create({email: 'a@b.c', metadata: {tenant: 'acme'}});
const meter = await stripe.billing.meters.create({
  display_name: 'Calls', event_name: 'calls', default_aggregation: {formula: 'sum'}});
const product = await stripe.products.create({id: 'prod_calls', name: 'Calls'});
const price = await stripe.prices.create({
  currency: 'usd', product: product.id, lookup_key: 'calls', billing_scheme: 'tiered',
  tiers_mode: 'graduated', expand: ['tiers'],
  tiers: [{up_to: 100, unit_amount: 0}, {up_to: 'inf', unit_amount_decimal: '0.25'}],
  recurring: {interval: 'month', usage_type: 'metered', meter: meter.id}});
const subscription = await stripe.subscriptions.create({
  customer: customer.id, items: [{price: price.id}], metadata: {tenant: 'acme'}});
seen.tiers = price.tiers.map((tier) => [tier.up_to, tier.unit_amount_decimal.toString()]);
seen.status = subscription.status;
seen.period_on_item = subscription.items.data[0].current_period_end > Date.now() / 1000;
const listed = await stripe.prices.list({lookup_keys: ['calls']});
seen.found = listed.data.map((one) => one.id === price.id);

const now = Math.floor(Date.now() / 1000);
const event = (identifier, value) => ({event_name: 'calls', identifier, timestamp: now,
  payload: {stripe_customer_id: customer.id, value}});
await stripe.billing.meterEvents.create(event('one', '40'));
await stripe.billing.meterEvents.create(event('two', '-2'));
await stripe.billing.meterEvents.create(event('two', '-2')).catch((error) => {
  seen.duplicate = [error.type, error.statusCode, error.message];
});
await stripe.billing.meterEventAdjustments.create({
  event_name: 'calls', type: 'cancel', cancel: {identifier: 'two'}});
await stripe.v2.billing.meterEvents.create({event_name: 'calls', identifier: 'three',
  timestamp: new Date(now * 1000).toISOString(),
  payload: {stripe_customer_id: customer.id, value: '1'}});
const session = await stripe.v2.billing.meterEventSession.create();
await new Stripe(session.authentication_token, options).v2.billing.meterEventStream.create({
  events: [4, 5].map((n) => ({event_name: 'calls', identifier: 'stream-' + n,
    timestamp: new Date(now * 1000).toISOString(),
    payload: {stripe_customer_id: customer.id, value: '1'}}))});
const minute = now - (now % 60);
seen.summaries = (await stripe.billing.meters.listEventSummaries(meter.id, {
  customer: customer.id, start_time: minute, end_time: minute + 60})).data
  .map((summary) => Number(summary.aggregated_value));

for (let i = 0; i < 24; i++) await stripe.customers.create({name: 'c' + i});
seen.paged = 0;
for await (const each of stripe.customers.list({limit: 10})) seen.paged += each.id ? 1 : 0;

const created = await until(() => arrived.find((one) => one.body.includes(
  'customer.subscription.created')), 'webhook');
const verified = stripe.webhooks.constructEvent(created.body, created.signature, endpoint.secret);
seen.webhook = [verified.type, verified.data.object.id === subscription.id];
try {
  stripe.webhooks.constructEvent(created.body + ' ', created.signature, endpoint.secret);
} catch (error) {
  seen.tampered = error.type;
}

await stripe.billing.meterEvents.create({event_name: 'calls', identifier: 'lost', timestamp: now,
  payload: {stripe_customer_id: 'cus_nobody', value: '1'}});
const thin = await until(() => arrived.find((one) => one.body.includes('v2.core.event')), 'report');
const notification = stripe.parseEventNotification(thin.body, thin.signature, endpoint.secret);
const report = await notification.fetchEvent();
seen.report = [notification.type, report.data.reason.error_types[0].code,
  report.data.reason.error_types[0].sample_errors[0].request.identifier];

console.log(JSON.stringify(seen));
receiver.closeAllConnections();
receiver.close();
