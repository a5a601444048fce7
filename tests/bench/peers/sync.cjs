// sync.cjs FOLDER DATABASE_URL SECRET: webhooks worked by @supabase/stripe-sync-engine as its documentation has it:
// verified, the object upserted into its table, and answered after that. Prints its port.
const [folder, databaseUrl, secret] = process.argv.slice(2)
const need = require('node:module').createRequire(folder + '/')
const express = need('express')
const { StripeSync, runMigrations } = need('@supabase/stripe-sync-engine')

const app = express()

async function main() {
  await runMigrations({ databaseUrl, schema: 'stripe' })
  const sync = new StripeSync({
    schema: 'stripe', stripeSecretKey: 'sk_test_bench', stripeWebhookSecret: secret, autoExpandLists: false,
    backfillRelatedEntities: false, poolConfig: { connectionString: databaseUrl, max: 16 }
  })
  app.post('/webhooks/stripe', express.raw({ type: '*/*', limit: '1mb' }), async (req, res) => {
    try {
      await sync.processWebhook(req.body, req.headers['stripe-signature'])
      res.json({ received: true })
    } catch (error) {
      console.error(error.message)
      res.status(500).json({ error: 'not worked' })
    }
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
}

main()
