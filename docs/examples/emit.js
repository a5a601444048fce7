#!/usr/bin/node
// emit.js TENANT METRIC QUANTITY ID: emits one event, and sends it again until Redis has it. REDIS_URL says where Redis is.
const { createClient } = require('redis');

const PATIENCE_MS = 60000;
const PAUSE_MS = 200;

// The same event each time, so it counts once, however often it arrives.
async function emit(event) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const line = createClient({ url: process.env.REDIS_URL, socket: { connectTimeout: 5000, reconnectStrategy: false } });
    line.on('error', () => {}); // the calls say it too
    try {
      await line.connect();
      return await line.xAdd('usage:events', '*', event);
    } catch (error) {
      // Keep the event, with its id and ts, and send it later.
      if (Date.now() > until) throw error;
      await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
    } finally {
      if (line.isOpen) await line.disconnect();
    }
  }
}

const [tenant, metric, quantity, id] = process.argv.slice(2);
emit({ id, tenant, metric, quantity, ts: String(Date.now()) }).then(console.log);
