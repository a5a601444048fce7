// Makes calls with Stripe's official clients for Node, unmodified, one after the other, and prints how
// each ended as JSON. What counts is what they put on the wire.
// usage: node calls.mjs FOLDER-WITH-node_modules HOST PORT < calls.json
// Each call: {"package": "stripe16", "key": "sk_test_x", "method": "billing.meterEvents.create",
//             "args": [...]}
import {createRequire} from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const [folder, host, port] = process.argv.slice(2);
const require = createRequire(path.join(folder, 'x.js'));
const options = {host, port: Number(port), protocol: 'http', maxNetworkRetries: 0};
const ends = [];

for (const call of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  const Stripe = require(call.package);
  const names = call.method.split('.');
  const last = names.pop();
  const resource = names.reduce((found, name) => found[name], new Stripe(call.key, options));
  try {
    await resource[last](...call.args);
    ends.push('ok');
  } catch (error) {
    if (!error.statusCode) throw error;   // It never went out.
    ends.push(`${error.statusCode} ${error.message}`);
  }
}
console.log(JSON.stringify(ends));
