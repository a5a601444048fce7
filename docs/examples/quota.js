#!/usr/bin/node
// quota.js TENANT METRIC QUANTITY: do something that costs so much, if the tenant may. REDIS_URL says where Redis is.
const { randomUUID } = require('crypto');
const { createClient } = require('redis');

const HOLD_MS = 60000; // longer than the work takes

async function work() {
  console.log('working');
}

async function main(tenant, metric, quantity) {
  const line = createClient({ url: process.env.REDIS_URL });
  const call = (name, ...args) =>
    line.fCall(name, { keys: [`quota:{${tenant}}`], arguments: [metric, ...args] });
  const request = randomUUID();
  await line.connect();
  try {
    const [verdict, reason] = await call('meterline_reserve', quantity, request, String(HOLD_MS));
    console.log(verdict, reason);
    if (verdict === 'deny') return 1;
    try {
      await work();
    } catch (error) {
      await call('meterline_settle', request, ''); // Given back: nothing was used.
      throw error;
    }
    const event = { id: request, tenant, metric, quantity, ts: String(Date.now()) };
    await call('meterline_settle', request, await line.xAdd('usage:events', '*', event));
    return 0;
  } finally {
    await line.quit();
  }
}

main(...process.argv.slice(2)).then((code) => { process.exitCode = code; });
