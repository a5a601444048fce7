// reads.cjs FOLDER DATABASE_URL KEY: a tenant's usage and quotas as one would serve them in an afternoon, with express and pg:
// the key is compared, the rows are read and sent as JSON. Prints its port.
const [folder, databaseUrl, key] = process.argv.slice(2)
const need = require('node:module').createRequire(folder + '/')
const express = need('express')
const pg = need('pg')
const crypto = require('node:crypto')

const pool = new pg.Pool({ connectionString: databaseUrl, max: 16 })
const app = express()
app.disable('x-powered-by')
app.disable('etag')
const known = crypto.createHash('sha256').update(key).digest()

app.use((req, res, next) => {
  const given = crypto.createHash('sha256').update((req.headers.authorization || '').slice(7)).digest()
  if (!crypto.timingSafeEqual(given, known)) return res.status(401).json({ error: 'unauthorized' })
  next()
})

app.get('/api/billing/usage', async (req, res) => {
  const tenant = req.headers['x-tenant-id']
  const { rows } = await pool.query({ name: 'usage', text: `
    SELECT t.metric, m.unit, t.quantity, t.updated_at, t.period_start, t.period_end
      FROM usage_totals t JOIN metrics m USING (metric)
     WHERE t.tenant = $1 AND t.period_start <= now() AND t.period_end > now() ORDER BY t.metric`, values: [tenant] })
  res.json({ tenant, metrics: rows })
})

app.get('/api/billing/quotas', async (req, res) => {
  const tenant = req.headers['x-tenant-id']
  const { rows } = await pool.query({ name: 'quotas', text: `
    SELECT l.metric, l.included, l.cap, t.quantity AS used, t.period_end
      FROM plan_limits l LEFT JOIN usage_totals t
        ON t.tenant = $1 AND t.metric = l.metric AND t.period_start <= now() AND t.period_end > now()
     WHERE l.plan = 'free' ORDER BY l.metric`, values: [tenant] })
  res.json({ tenant, plan: 'free', metrics: rows })
})

const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
