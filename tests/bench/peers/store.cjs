// store.cjs FOLDER DATABASE_URL SECRET: webhooks stored as one would write it in an afternoon, with Stripe's official
// client, express and pg: verified, inserted, and answered after COMMIT. It works no event. Prints its port.
const [folder, databaseUrl, secret] = process.argv.slice(2)
const need = require('node:module').createRequire(folder + '/')
const express = need('express')
const pg = need('pg')
const stripe = need('stripe')('sk_test_bench')

const pool = new pg.Pool({ connectionString: databaseUrl, max: 16 })
const app = express()

app.post('/webhooks/stripe', express.raw({ type: '*/*', limit: '1mb' }), async (req, res) => {
  let event
  try {
    event = stripe.webhooks.constructEvent(req.body, req.headers['stripe-signature'], secret)
  } catch (error) {
    return res.status(400).json({ error: 'bad signature' })
  }
  try {
    await pool.query(
      `INSERT INTO webhook_events (event_id, type, created_at, payload) VALUES ($1, $2, to_timestamp($3), $4)
       ON CONFLICT (event_id) DO NOTHING`, [event.id, event.type, event.created, req.body.toString()])
    res.json({ received: true })
  } catch (error) {
    res.status(503).json({ error: 'unavailable' })
  }
})

async function main() {
  await pool.query(`CREATE TABLE webhook_events (
    event_id text PRIMARY KEY, type text NOT NULL, created_at timestamptz NOT NULL, payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'received', received_at timestamptz NOT NULL DEFAULT now())`)
  await pool.query(`CREATE INDEX ON webhook_events (received_at) WHERE state = 'received'`)
  const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
}

main()
