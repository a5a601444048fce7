-- From pending minute sums to minute rows and period totals, and from raw events to minute rows once more.

-- A value with its place among all of a metric, as a text that sorts: 16 hex digits of the time of use in Unix
-- ms (sign bit flipped), 32 of the entry's id, then the quantity.
CREATE FUNCTION last_value(p_ms bigint, p_entry_ms bigint, p_entry_seq bigint, p_quantity numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lpad(to_hex(p_ms # (-9223372036854775808)), 16, '0') || lpad(to_hex(p_entry_ms), 16, '0')
       || lpad(to_hex(p_entry_seq), 16, '0') || p_quantity::text;

CREATE FUNCTION last_value_ms(p_last text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || left(p_last, 16))::bit(64)::bigint # (-9223372036854775808);

CREATE FUNCTION last_value_entry(p_last text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN decode(substr(p_last, 17, 32), 'hex');

CREATE FUNCTION last_value_quantity(p_last text) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN substr(p_last, 49)::numeric;

-- The same as ranges, for where a row can have but one column.
CREATE FUNCTION usage_period(p_tenant text, p_at timestamptz) RETURNS tstzrange
LANGUAGE sql STABLE AS $$
    SELECT tstzrange(period_start, period_end) FROM billing_period(p_tenant, p_at)
$$;
-- Not STRICT, and of immutable functions alone: so that it is inlined, which a call for each key is not worth.
CREATE FUNCTION usage_month(p_at timestamptz) RETURNS tstzrange
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN tstzrange(date_trunc('month', p_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
                 (date_trunc('month', p_at AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');

-- Minute rows, counted from the raw events by the definitions that each was counted by at its time. Events that
-- were taken back are left out, and batches that still wait to be folded. p_minutes NULL: of all that was used
-- from p_low until before p_high, by p_tenants (NULL: by all). Else p_tenants and p_minutes are parallel arrays: of
-- each of these minutes of that tenant; p_low and p_high enclose them. With p_batch, of that batch alone, whether it
-- waits or not, and with what was taken back: its minutes are counted anew by whoever takes it back.
CREATE FUNCTION count_raw_events(p_tenants text[], p_low timestamptz, p_high timestamptz,
                                 p_minutes timestamptz[] DEFAULT NULL, p_batch bigint DEFAULT NULL)
RETURNS TABLE (tenant text, metric text, dimensions jsonb, minute_at timestamptz, events bigint,
               quantity_sum numeric, quantity_min numeric, quantity_max numeric, last text)
LANGUAGE sql STABLE SET work_mem = '64MB' SET jit = off
SET enable_hashjoin = on SET enable_mergejoin = on SET enable_seqscan = on AS $$
    WITH wanted AS MATERIALIZED (
        SELECT DISTINCT tenant, minute_at, tenant_slice(tenant) AS slice,
               (extract(epoch FROM minute_at) * 1000)::bigint AS minute_ms
          FROM unnest(p_tenants, p_minutes) AS w (tenant, minute_at)
    ), spans AS (
        -- Minutes of an hour are looked for together, and what does not hold one of them is then left out.
        SELECT slice, min(minute_at) AS low, max(minute_at) + interval '1 minute' AS high
          FROM wanted WHERE p_minutes IS NOT NULL GROUP BY slice, date_trunc('hour', minute_at)
         UNION ALL
        SELECT DISTINCT slice, p_low, p_high FROM wanted WHERE p_minutes IS NULL AND p_batch IS NULL
         UNION ALL
        SELECT slice, p_low, p_high FROM generate_series(0, 15) AS slice WHERE p_tenants IS NULL AND p_batch IS NULL
    ), places AS MATERIALIZED (
        -- Nothing is used more than minutes after the day of its commit.
        SELECT DISTINCT b.day, b.batch, b.slice
          FROM spans s
          JOIN usage_batches b ON b.slice = s.slice AND b.occurred_min < s.high AND b.occurred_max >= s.low
                              AND b.day >= (s.low AT TIME ZONE 'UTC')::date - 1
         WHERE (p_minutes IS NULL
                OR EXISTS (SELECT FROM wanted w WHERE w.slice = b.slice AND b.occurred_max >= w.minute_at
                                                  AND b.occurred_min < w.minute_at + interval '1 minute'))
           AND NOT EXISTS (SELECT FROM usage_pending p WHERE p.batch = b.batch)
         UNION ALL
        SELECT b.day, b.batch, b.slice FROM usage_batches b
         WHERE b.batch = p_batch AND (p_tenants IS NULL OR b.slice IN (SELECT slice FROM wanted))
    ), found AS (
        -- Which rows of a slice: most are of others, and just two columns are unpacked to tell.
        SELECT e.day, e.batch, e.slice, array_agg(e.row) AS rows
          FROM (SELECT p.*, unnest(b.tenants) AS tenant, unnest(b.occurred_ms) AS occurred,
                       generate_series(1, b.events) AS row
                  FROM places p JOIN usage_batches b USING (day, batch, slice)
                 WHERE p_minutes IS NOT NULL) e
         WHERE (e.tenant, e.occurred - ((e.occurred % 60000) + 60000) % 60000)
               IN (SELECT w.tenant, w.minute_ms FROM wanted w)
         GROUP BY e.day, e.batch, e.slice
    ), raw AS MATERIALIZED (
        -- An array that was appended to is unpacked, and each [row] is then one step. OFFSET 0 keeps it so.
        SELECT s.catalog_version, s.stream, s.tenants[r.row] AS tenant, s.metrics[r.row] AS metric,
               coalesce(s.ids_uuid[r.row]::text, s.ids_text[r.row]) AS id, s.entry_ms[r.row] AS ms,
               s.entry_seq[r.row] AS seq, s.quantities[r.row] AS quantity, s.occurred_ms[r.row] AS occurred,
               s.fields[r.row] AS fields, coalesce(s.retracts[r.row], 0) AS retracts
          FROM (SELECT b.catalog_version, b.stream, f.rows, array_append(b.tenants, NULL) AS tenants,
                       array_append(b.metrics, NULL) AS metrics, array_append(b.ids_uuid, NULL) AS ids_uuid,
                       array_append(b.ids_text, NULL) AS ids_text, array_append(b.entry_ms, NULL) AS entry_ms,
                       array_append(b.entry_seq, NULL) AS entry_seq,
                       array_append(b.quantities, NULL) AS quantities,
                       array_append(b.occurred_ms, NULL) AS occurred_ms,
                       array_append(b.fields, NULL) AS fields, array_append(b.retracts, NULL) AS retracts
                  FROM found f JOIN usage_batches b USING (day, batch, slice)
                OFFSET 0) s
         CROSS JOIN LATERAL unnest(s.rows) AS r (row)
         UNION ALL
        SELECT e.catalog_version, e.stream, e.tenant, e.metric, coalesce(e.id_uuid::text, e.id_text), e.ms, e.seq,
               e.quantity, e.occurred, e.fields, coalesce(e.retracts, 0)
          FROM (SELECT b.catalog_version, b.stream, unnest(b.tenants) AS tenant, unnest(b.metrics) AS metric,
                       unnest(b.ids_uuid) AS id_uuid, unnest(b.ids_text) AS id_text, unnest(b.entry_ms) AS ms,
                       unnest(b.entry_seq) AS seq, unnest(b.quantities) AS quantity,
                       unnest(b.occurred_ms) AS occurred, unnest(b.fields) AS fields, unnest(b.retracts) AS retracts
                  FROM places p JOIN usage_batches b USING (day, batch, slice)
                 WHERE p_minutes IS NULL) e
         WHERE e.occurred >= extract(epoch FROM p_low) * 1000 AND e.occurred < extract(epoch FROM p_high) * 1000
           AND (p_tenants IS NULL OR e.tenant IN (SELECT w.tenant FROM wanted w))
    ), retractions AS MATERIALIZED (
        SELECT * FROM raw WHERE retracts > 0 AND p_batch IS NULL
    ), kept AS (
        -- An id may have counted again, with another time, once it had left the window: the time tells which one
        -- was taken back.
        SELECT r.*, coalesce(r.fields, '{}')::jsonb AS labels,
               r.occurred - ((r.occurred % 60000) + 60000) % 60000 AS minute_ms
          FROM raw r
         WHERE r.retracts = 0
           AND NOT EXISTS (SELECT FROM retractions x
                            WHERE x.retracts = CASE WHEN r.id IS NULL THEN 2 ELSE 1 END
                              AND x.tenant = r.tenant AND x.occurred = r.occurred
                              AND x.id = coalesce(r.id, r.stream || '/' || entry_half(r.ms) || '-' || entry_half(r.seq))
                              AND x.metric = r.metric AND x.quantity = -r.quantity)
    )
    SELECT k.tenant, v.metric, d.dimensions, to_timestamp(k.minute_ms / 1000), count(*), sum(k.quantity),
           min(k.quantity), max(k.quantity), max(last_value(k.occurred, k.ms, k.seq, k.quantity) COLLATE "C")
      FROM kept k
      JOIN metric_versions v ON coalesce(v.from_metric, v.metric) = k.metric AND v.from_version <= k.catalog_version
                            AND (v.until_version IS NULL OR k.catalog_version < v.until_version)
                            AND k.labels @> v.where_dimensions
     CROSS JOIN LATERAL (
           SELECT CASE WHEN v.dimensions = '{}' THEN '{}' ELSE
                  (SELECT coalesce(jsonb_object_agg(l.key, l.value), '{}') FROM jsonb_each(k.labels) l
                    WHERE l.key = ANY (v.dimensions)) END AS dimensions) d
     GROUP BY k.tenant, v.metric, d.dimensions, k.minute_ms
$$;

-- Sets totals right of which minutes were counted anew: what cannot be subtracted, and by which event they are the
-- last. Part of recount_usage. lowered: the minute with the greatest
-- value fell. gone: values of a unique metric
-- that nobody has any more. Where nothing is left a total is 0, and its place before that of any event.
CREATE FUNCTION correct_totals(p_tenants text[], p_metrics text[], p_starts timestamptz[], p_lowered boolean[],
                               p_gone bigint[]) RETURNS void
LANGUAGE sql SET jit = off SET enable_nestloop = on AS $$
    UPDATE usage_totals t
       SET quantity = CASE m.aggregation
               WHEN 'last' THEN coalesce(n.quantity_last, 0)
               WHEN 'unique' THEN t.quantity - k.gone
               WHEN 'max' THEN
                   CASE WHEN k.lowered
                        THEN coalesce((SELECT max(a.quantity_max) FROM usage_aggregates a
                                        WHERE a.tenant = k.tenant AND a.metric = k.metric
                                          AND a.minute_at >= x.period_start AND a.minute_at < x.period_end), 0)
                        ELSE t.quantity END
               ELSE t.quantity END,
           last_ms = coalesce(n.last_ms, (-9223372036854775808)), last_entry = coalesce(n.last_entry, '')
      FROM unnest(p_tenants, p_metrics, p_starts, p_lowered, p_gone) k (tenant, metric, period_start, lowered, gone)
      JOIN metrics m USING (metric)
      JOIN usage_totals x USING (tenant, metric, period_start)
      LEFT JOIN LATERAL (
           SELECT a.quantity_last, a.last_ms, a.last_entry FROM usage_aggregates a
            WHERE a.tenant = k.tenant AND a.metric = k.metric
              AND a.minute_at >= x.period_start AND a.minute_at < x.period_end
            ORDER BY a.minute_at DESC, a.last_ms DESC, a.last_entry DESC LIMIT 1) n ON true
     WHERE (t.tenant, t.metric, t.period_start) = (k.tenant, k.metric, k.period_start)
       AND NOT m.carry
$$;

-- The one place that knows what a total of a metric is that carries its last value over: the last value of its own
-- period, else the last one of before, however long ago; 0 if there is none. And which periods have a total: each one
-- from the first usage until now whose value is not 0, and each one that has one already. So whatever moves a value
-- or an edge asks for the chain that follows: fold_usage, recount_usage, refresh_billing_periods, open_carried_totals.
--
-- Parallel arrays: of each tenant and metric all periods that end after a time; '-infinity': all. Metrics that do not
-- carry are left out. Call it while nobody else adds to these totals or moves billing periods. Returns the totals that
-- changed, and how they were: NULL where there was none.
CREATE FUNCTION carry_totals(p_tenants text[], p_metrics text[], p_since timestamptz[], p_version bigint)
RETURNS TABLE (tenant text, metric text, period_start timestamptz, period_end timestamptz, quantity numeric,
               version bigint, quantity_before numeric)
LANGUAGE sql SET jit = off SET enable_nestloop = on AS $$
    WITH RECURSIVE asked AS MATERIALIZED (
        SELECT k.*, f.minute_at AS first
          FROM (SELECT k.tenant, k.metric, min(k.since) AS since, least(now(), m.retired_at) AS until
                  FROM unnest(p_tenants, p_metrics, p_since) k (tenant, metric, since)
                  JOIN metrics m ON m.metric = k.metric AND m.carry
                 GROUP BY k.tenant, k.metric, m.retired_at) k
          LEFT JOIN LATERAL (
               SELECT a.minute_at FROM usage_aggregates a
                WHERE a.tenant = k.tenant AND a.metric = k.metric ORDER BY a.minute_at LIMIT 1) f ON true
    ), known AS MATERIALIZED (
        SELECT t.tenant, t.metric, t.period_start, t.period_end, t.quantity
          FROM asked a
          JOIN usage_totals t ON t.tenant = a.tenant AND t.metric = a.metric AND t.period_end > a.since
    ), chain AS (
        SELECT a.tenant, a.metric, a.until, b.period_start, b.period_end
          FROM asked a CROSS JOIN LATERAL billing_period(a.tenant, greatest(a.since, a.first)) b
         WHERE a.first IS NOT NULL
         UNION ALL
        SELECT c.tenant, c.metric, c.until, b.period_start, b.period_end
          FROM chain c CROSS JOIN LATERAL billing_period(c.tenant, c.period_end) b
         WHERE c.period_end <= c.until
    ), periods AS (
        SELECT k.*, true AS known FROM known k
         UNION ALL
        SELECT c.tenant, c.metric, c.period_start, c.period_end, NULL, false
          FROM chain c
         WHERE c.period_start <= c.until
           AND NOT EXISTS (SELECT FROM known k WHERE k.tenant = c.tenant AND k.metric = c.metric
                                                 AND k.period_start < c.period_end AND k.period_end > c.period_start)
    ), valued AS MATERIALIZED (
        SELECT p.*, coalesce(n.quantity_last, 0) AS value, coalesce(n.last_ms, (-9223372036854775808)) AS last_ms,
               coalesce(n.last_entry, '') AS last_entry, coalesce(n.minute_at >= p.period_start, false) AS own
          FROM periods p
          LEFT JOIN LATERAL (
               SELECT a.quantity_last, a.last_ms, a.last_entry, a.minute_at FROM usage_aggregates a
                WHERE a.tenant = p.tenant AND a.metric = p.metric AND a.minute_at < p.period_end
                ORDER BY a.minute_at DESC, a.last_ms DESC, a.last_entry DESC LIMIT 1) n ON true
    ), written AS (
        INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
        SELECT v.tenant, v.metric, v.period_start, v.period_end, v.value,
               -- One that was there once may have been claimed.
               greatest(p_version, 1 + (SELECT c.version FROM usage_claims c
                                         WHERE c.tenant = v.tenant AND c.metric = v.metric
                                           AND c.period_start = v.period_start)),
               v.last_ms, v.last_entry
          FROM valued v
         WHERE v.known OR v.own OR v.value <> 0
         ORDER BY v.tenant, v.metric, v.period_start
        ON CONFLICT (tenant, metric, period_start) DO UPDATE
           SET quantity = excluded.quantity, version = greatest(excluded.version, t.version + 1),
               last_ms = excluded.last_ms, last_entry = excluded.last_entry, updated_at = now()
         WHERE (t.quantity, t.last_ms, t.last_entry)
               IS DISTINCT FROM (excluded.quantity, excluded.last_ms, excluded.last_entry)
        RETURNING t.tenant, t.metric, t.period_start, t.period_end, t.quantity, t.version
    )
    SELECT w.tenant, w.metric, w.period_start, w.period_end, w.quantity, w.version, k.quantity
      FROM written w LEFT JOIN known k USING (tenant, metric, period_start)
$$;

-- The totals of current periods that follow what fold_usage added at these times. Nearly always it was to the newest
-- period, which is not over and begins where the one before ends: then nothing follows. Where nobody counted for a
-- while, periods before it have yet to be opened.
CREATE FUNCTION carry_added(p_tenants text[], p_metrics text[], p_since timestamptz[], p_version bigint)
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE plpgsql SET jit = off SET enable_nestloop = on AS $$
#variable_conflict use_column
DECLARE
    tenants text[];
    metrics text[];
    since timestamptz[];
BEGIN
    SELECT array_agg(k.tenant), array_agg(k.metric), array_agg(coalesce(o.before_end, k.since)) INTO tenants, metrics, since
      FROM unnest(p_tenants, p_metrics, p_since) k (tenant, metric, since)
     CROSS JOIN LATERAL (
           SELECT o.period_start, o.period_end FROM usage_totals o
            WHERE o.tenant = k.tenant AND o.metric = k.metric ORDER BY o.period_start DESC LIMIT 1) n
     CROSS JOIN LATERAL (
           SELECT x.period_start, lead(x.period_end) OVER w AS before_end, lead(x.quantity) OVER w AS before_quantity
             FROM (SELECT t.period_start, t.period_end, t.quantity FROM usage_totals t
                    WHERE t.tenant = k.tenant AND t.metric = k.metric AND t.period_start <= k.since
                    ORDER BY t.period_start DESC LIMIT 2) x
           WINDOW w AS (ORDER BY x.period_start DESC)
            ORDER BY x.period_start DESC LIMIT 1) o
     WHERE k.since < n.period_start OR n.period_end <= now()
        OR (o.before_end < o.period_start AND o.before_quantity <> 0);
    IF tenants IS NOT NULL THEN
        RETURN QUERY
        SELECT c.tenant, c.metric, c.quantity, c.version, c.period_end
          FROM carry_totals(tenants, metrics, since, p_version) c
         WHERE c.period_start <= now() AND now() < c.period_end;
    END IF;
END $$;

-- Opens the periods that have begun since, of p_most metrics of tenants at most. Returns the tenants. While nothing is to
-- be opened nobody waits for it; else nobody adds to totals or moves billing periods until this transaction ends, which
-- is not waited for long: there is another time.
CREATE FUNCTION open_carried_totals(p_most integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET jit = off SET lock_timeout = '1s' AS $$
DECLARE
    tenants text[];
    metrics text[];
    since timestamptz[];
BEGIN
    SELECT array_agg(x.tenant), array_agg(x.metric), array_agg(x.period_end) INTO tenants, metrics, since
      FROM (SELECT n.tenant, n.metric, n.period_end
              FROM (SELECT DISTINCT ON (t.tenant, t.metric) t.tenant, t.metric, t.period_end, t.quantity, m.retired_at
                      FROM usage_totals t JOIN metrics m ON m.metric = t.metric AND m.carry
                     ORDER BY t.tenant, t.metric, t.period_start DESC) n
             WHERE n.period_end <= least(now(), n.retired_at) AND n.quantity <> 0
             ORDER BY n.period_end DESC LIMIT p_most) x;
    IF tenants IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('meterline periods'));
    RETURN QUERY
    SELECT DISTINCT c.tenant FROM carry_totals(tenants, metrics, since, nextval('usage_version')) c;
END $$;

-- Counts the minutes anew of which a stream's retractions took something back, and sets their totals right.
-- Part of fold_usage. Returns the totals of current periods that changed.
CREATE FUNCTION recount_usage(p_stream text)
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE plpgsql SET jit = off SET enable_hashjoin = on SET enable_mergejoin = on SET enable_seqscan = on AS $$
#variable_conflict use_column
DECLARE
    v bigint := nextval('usage_version');
    tenants text[];
    metrics text[];
    starts timestamptz[];
    lowered boolean[];
    gone bigint[];
BEGIN
    WITH wanted AS (
        -- What a batch takes back that waits to be folded, waits with it.
        DELETE FROM usage_recounts r
         WHERE r.stream = p_stream AND NOT EXISTS (SELECT FROM usage_pending p WHERE p.batch = r.batch)
        RETURNING tenant, metric, minute_at
    ), family AS MATERIALIZED (
        SELECT DISTINCT w.tenant, d.metric, w.minute_at
          FROM wanted w JOIN metric_versions d ON coalesce(d.from_metric, d.metric) = w.metric
    ), asked AS (
        SELECT array_agg(tenant) AS tenants, array_agg(minute_at) AS minutes, min(minute_at) AS low,
               max(minute_at) + interval '1 minute' AS high
          FROM (SELECT DISTINCT tenant, minute_at FROM wanted) w
    ), counted AS MATERIALIZED (
        SELECT c.*
          FROM asked q
         CROSS JOIN LATERAL count_raw_events(q.tenants, q.low, q.high, q.minutes) c
          JOIN family f USING (tenant, metric, minute_at)
    ), before AS MATERIALIZED (
        SELECT a.* FROM family f JOIN usage_aggregates a USING (tenant, metric, minute_at)
    ), deleted AS (
        DELETE FROM usage_aggregates a
         USING before b
         WHERE (a.tenant, a.metric, a.minute_at, a.dimensions) = (b.tenant, b.metric, b.minute_at, b.dimensions)
           AND NOT EXISTS (SELECT FROM counted c WHERE (c.tenant, c.metric, c.minute_at, c.dimensions)
                                                     = (b.tenant, b.metric, b.minute_at, b.dimensions))
    ), written AS (
        INSERT INTO usage_aggregates (tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min,
                                      quantity_max, quantity_last, last_ms, last_entry)
        SELECT tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min, quantity_max,
               last_value_quantity(last), last_value_ms(last), last_value_entry(last)
          FROM counted
         ORDER BY tenant, metric, minute_at
        ON CONFLICT (tenant, metric, minute_at, dimensions) DO UPDATE
           SET events = excluded.events, quantity_sum = excluded.quantity_sum, quantity_min = excluded.quantity_min,
               quantity_max = excluded.quantity_max, quantity_last = excluded.quantity_last,
               last_ms = excluded.last_ms, last_entry = excluded.last_entry
    ), moved AS MATERIALIZED (
        SELECT tenant, metric, dimensions, minute_at, coalesce(c.events, 0) - coalesce(b.events, 0) AS events,
               coalesce(c.quantity_sum, 0) - coalesce(b.quantity_sum, 0) AS quantity,
               CASE WHEN c.quantity_max IS DISTINCT FROM b.quantity_max THEN b.quantity_max END AS fell_from
          FROM before b FULL JOIN counted c USING (tenant, metric, dimensions, minute_at)
    ), placed AS MATERIALIZED (
        SELECT d.*, t.period_start, m.aggregation, coalesce(d.fell_from >= t.quantity, false) AS lowered
          FROM moved d
          JOIN metrics m USING (metric)
         CROSS JOIN LATERAL (
               SELECT o.period_start, o.period_end, o.quantity FROM usage_totals o
                WHERE o.tenant = d.tenant AND o.metric = d.metric AND o.period_start <= d.minute_at
                ORDER BY o.period_start DESC LIMIT 1) t
         WHERE d.minute_at < t.period_end
    ), uniques AS (
        UPDATE usage_uniques u SET events = u.events + p.events
          FROM (SELECT tenant, metric, period_start, dimensions, sum(events) AS events FROM placed
                 WHERE aggregation = 'unique' GROUP BY tenant, metric, period_start, dimensions) p
         WHERE (u.tenant, u.metric, u.period_start, u.dimensions) = (p.tenant, p.metric, p.period_start, p.dimensions)
        RETURNING u.tenant, u.metric, u.period_start, (u.events = 0)::integer AS gone
    ), parts AS (
        SELECT tenant, metric, period_start, lowered, 0 AS gone,
               CASE aggregation WHEN 'sum' THEN quantity WHEN 'count' THEN events ELSE 0 END AS more
          FROM placed
         UNION ALL
        SELECT tenant, metric, period_start, false, gone, 0 FROM uniques
    ), changed AS (
        UPDATE usage_totals t
           SET quantity = t.quantity + p.more, version = greatest(v, t.version + 1), updated_at = now()
          FROM (SELECT tenant, metric, period_start, sum(more) AS more, bool_or(lowered) AS lowered, sum(gone) AS gone
                  FROM parts GROUP BY tenant, metric, period_start) p
         WHERE (t.tenant, t.metric, t.period_start) = (p.tenant, p.metric, p.period_start)
        RETURNING t.tenant, t.metric, t.period_start, p.lowered, p.gone
    )
    SELECT array_agg(c.tenant), array_agg(c.metric), array_agg(c.period_start), array_agg(c.lowered), array_agg(c.gone)
      INTO tenants, metrics, starts, lowered, gone
      FROM changed c;

    DELETE FROM usage_uniques u
     USING unnest(tenants, metrics, starts, gone) k (tenant, metric, period_start, gone)
     WHERE k.gone > 0 AND (u.tenant, u.metric, u.period_start) = (k.tenant, k.metric, k.period_start)
       AND u.events = 0;
    PERFORM correct_totals(tenants, metrics, starts, lowered, gone);
    SELECT tenants || coalesce(array_agg(c.tenant), '{}'), metrics || coalesce(array_agg(c.metric), '{}'),
           starts || coalesce(array_agg(c.period_start), '{}')
      INTO tenants, metrics, starts
      FROM carry_totals(tenants, metrics, starts, v) c;

    RETURN QUERY
    SELECT t.tenant, t.metric, t.quantity, t.version, t.period_end
      FROM (SELECT DISTINCT * FROM unnest(tenants, metrics, starts) u (tenant, metric, period_start)) k
      JOIN usage_totals t USING (tenant, metric, period_start)
     WHERE t.period_start <= now() AND now() < t.period_end;
END $$;

-- For a caller that has added up sums itself, and wrote one row for them all in the same transaction: those of so many
-- batches, from p_first to p_last. ML001 if they are not there any more: somebody else has folded them.
CREATE FUNCTION cover_pending(p_stream text, p_first bigint, p_last bigint, p_batches bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    -- The lock that fold_usage takes, and in the same order.
    PERFORM pg_advisory_xact_lock(hashtext('meterline fold'), hashtext(p_stream));
    UPDATE usage_pending SET from_raw = false
     WHERE stream = p_stream AND from_raw AND batch BETWEEN p_first AND p_last;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> p_batches THEN
        RAISE EXCEPTION 'stream % was folded by somebody else', p_stream USING ERRCODE = 'ML001';
    END IF;
END $$;

-- For batches whose sums are nowhere: counts them from the raw events into their rows, p_most at most. Returns how many
-- are left. So that each transaction is short, whoever finds many calls it before fold_usage.
CREATE FUNCTION count_pending(p_stream text, p_most integer DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET jit = off SET enable_nestloop = on AS $$
BEGIN
    IF EXISTS (SELECT FROM usage_pending WHERE stream = p_stream AND from_raw) THEN
        PERFORM pg_advisory_xact_lock(hashtext('meterline fold'), hashtext(p_stream));
        -- A row that was covered meanwhile is left alone.
        UPDATE usage_pending p
           SET from_raw = false, tenants = c.tenants, metrics = c.metrics, dimensions = c.dimensions,
               minutes = c.minutes, events = c.events, sums = c.sums, mins = c.mins, maxs = c.maxs, lasts = c.lasts
          FROM (SELECT batch FROM usage_pending WHERE stream = p_stream AND from_raw ORDER BY batch LIMIT p_most) w
         CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(tenant), '{}') AS tenants, coalesce(array_agg(metric), '{}') AS metrics,
                      coalesce(array_agg(dimensions::text), '{}') AS dimensions,
                      coalesce(array_agg(minute_at), '{}') AS minutes, coalesce(array_agg(events), '{}') AS events,
                      coalesce(array_agg(quantity_sum), '{}') AS sums, coalesce(array_agg(quantity_min), '{}') AS mins,
                      coalesce(array_agg(quantity_max), '{}') AS maxs, coalesce(array_agg(last), '{}') AS lasts
                 FROM count_raw_events(NULL, '-infinity', 'infinity', NULL, w.batch)) c
         WHERE p.batch = w.batch AND p.from_raw;
    END IF;
    RETURN (SELECT count(*) FROM usage_pending WHERE stream = p_stream AND from_raw);
END $$;

-- Takes a stream's pending minute sums over into minute rows and period totals. Part of the transaction that added
-- them, or of a later one. Returns the totals of current periods that changed.
--
-- One fold of a stream at a time: what a paused process began is seen whole or not at all. Billing
-- periods stand still meanwhile. The settings keep its plan the same however tables grow: keys are looked up one by
-- one, what is in memory is hashed.
CREATE FUNCTION fold_usage(p_stream text)
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET work_mem = '128MB' SET jit = off
SET enable_nestloop = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v bigint;
    batches bigint[];
    carried text[];
    k_tenants text[];
    k_metrics text[];
    k_since timestamptz[];
BEGIN
    IF NOT EXISTS (SELECT FROM usage_pending WHERE stream = p_stream)
       AND NOT EXISTS (SELECT FROM usage_recounts WHERE stream = p_stream) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('meterline fold'), hashtext(p_stream));
    PERFORM count_pending(p_stream);
    PERFORM pg_advisory_xact_lock_shared(hashtext('meterline periods'));
    v := nextval('usage_version');
    -- A batch that came since they were counted waits for the next fold.
    batches := ARRAY(SELECT batch FROM usage_pending WHERE stream = p_stream AND NOT from_raw);
    carried := ARRAY(SELECT metric FROM metrics WHERE carry);
    IF carried <> '{}' THEN
        SELECT array_agg(k.tenant), array_agg(k.metric), array_agg(k.since) INTO k_tenants, k_metrics, k_since
          FROM (SELECT u.tenant, u.metric, min(u.minute_at) AS since
                  FROM usage_pending p
                 CROSS JOIN LATERAL unnest(p.tenants, p.metrics, p.minutes) AS u (tenant, metric, minute_at)
                 WHERE p.batch = ANY (batches) AND p.metrics && carried AND u.metric = ANY (carried)
                 GROUP BY u.tenant, u.metric) k;
    END IF;
    RETURN QUERY
    WITH taken AS (
        DELETE FROM usage_pending WHERE batch = ANY (batches) RETURNING *
    ), sums AS (
        -- The aggregator and jsonb write a key's text each in its own way.
        SELECT tenant, metric, minute_at, CASE dimensions WHEN '{}' THEN '{}' ELSE dimensions::jsonb::text END AS dimensions,
               sum(events)::bigint AS events, sum(quantity) AS quantity,
               min(least) AS least, max(greatest) AS greatest, max(last) AS last
          FROM (SELECT unnest(tenants) AS tenant, unnest(metrics) AS metric, unnest(minutes) AS minute_at,
                       unnest(dimensions) AS dimensions, unnest(events) AS events, unnest(sums) AS quantity,
                       unnest(mins) AS least, unnest(maxs) AS greatest, unnest(lasts) AS last
                  FROM taken) p
         GROUP BY 1, 2, 3, 4
    ), minutes AS MATERIALIZED (
        -- In the order of the key, so that neighbours are written together.
        SELECT s.tenant, s.metric, s.minute_at, s.dimensions::jsonb AS dimensions, s.events, s.quantity, s.least,
               s.greatest, s.last, m.aggregation
          FROM sums s JOIN metrics m USING (metric)
         ORDER BY tenant, metric, minute_at
    ), written AS (
        INSERT INTO usage_aggregates AS a (tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min,
                                           quantity_max, quantity_last, last_ms, last_entry)
        SELECT tenant, metric, dimensions, minute_at, events, quantity, least, greatest,
               last_value_quantity(last), last_value_ms(last), last_value_entry(last)
          FROM minutes
        ON CONFLICT (tenant, metric, minute_at, dimensions) DO UPDATE
           SET events = a.events + excluded.events,
               quantity_sum = a.quantity_sum + excluded.quantity_sum,
               quantity_min = least(a.quantity_min, excluded.quantity_min),
               quantity_max = greatest(a.quantity_max, excluded.quantity_max),
               quantity_last = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (a.last_ms, a.last_entry)
                                    THEN excluded.quantity_last ELSE a.quantity_last END,
               last_entry = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (a.last_ms, a.last_entry)
                                 THEN excluded.last_entry ELSE a.last_entry END,
               last_ms = greatest(a.last_ms, excluded.last_ms)
    ), spans AS MATERIALIZED (
        SELECT tenant, metric, aggregation, min(minute_at) AS low, max(minute_at) AS high,
               sum(CASE aggregation WHEN 'sum' THEN quantity WHEN 'count' THEN events END) AS more,
               max(greatest) AS greatest, max(last) AS last
          FROM minutes GROUP BY tenant, metric, aggregation
    ), located AS MATERIALIZED (
        SELECT k.*, high < upper(k.period) AND aggregation <> 'unique' AS whole
          FROM (SELECT s.*,
                       -- A total tells its period; only for the first usage of one it is worked out.
                       CASE WHEN s.low < t.period_end THEN tstzrange(t.period_start, t.period_end)
                            WHEN EXISTS (SELECT FROM subscriptions o WHERE o.tenant = s.tenant)
                              OR EXISTS (SELECT FROM billing_periods o WHERE o.tenant = s.tenant)
                            THEN usage_period(s.tenant, s.low)
                            ELSE usage_month(s.low) END AS period
                  FROM spans s
                  LEFT JOIN LATERAL (
                       SELECT o.period_start, o.period_end FROM usage_totals o
                        WHERE o.tenant = s.tenant AND o.metric = s.metric AND o.period_start <= s.low
                        ORDER BY o.period_start DESC LIMIT 1) t ON true
                OFFSET 0) k
    ), parts AS (
        -- Nearly always all of a metric's minutes lie in one period; where they do not, one by one.
        SELECT tenant, metric, aggregation, period, NULL::jsonb AS dimensions, NULL::bigint AS events, more, greatest, last
          FROM located WHERE whole
         UNION ALL
        SELECT m.tenant, m.metric, m.aggregation,
               CASE WHEN m.minute_at <@ l.period THEN l.period ELSE usage_period(m.tenant, m.minute_at) END,
               m.dimensions, m.events, CASE m.aggregation WHEN 'sum' THEN m.quantity WHEN 'count' THEN m.events END,
               m.greatest, m.last
          FROM minutes m JOIN located l ON l.tenant = m.tenant AND l.metric = m.metric AND NOT l.whole
    ), kept AS MATERIALIZED (
        SELECT * FROM parts
    ), uniques AS (
        INSERT INTO usage_uniques AS u (tenant, metric, period_start, dimensions, events)
        SELECT tenant, metric, lower(period), dimensions, sum(events)
          FROM kept WHERE aggregation = 'unique'
         GROUP BY tenant, metric, lower(period), dimensions
        ON CONFLICT (tenant, metric, period_start, dimensions) DO UPDATE SET events = u.events + excluded.events
        RETURNING tenant, metric, period_start, (xmax = 0)::integer AS fresh
    ), totals AS (
        SELECT tenant, metric, aggregation, lower(period) AS period_start, max(upper(period)) AS period_end,
               sum(more) AS more, max(greatest) AS greatest, max(last) AS last
          FROM (SELECT tenant, metric, aggregation, period, more, greatest, last FROM kept
                 UNION ALL
                SELECT tenant, metric, 'unique', tstzrange(period_start, NULL), fresh, NULL, NULL FROM uniques) x
         GROUP BY tenant, metric, aggregation, lower(period)
         ORDER BY tenant, metric
    ), added AS (
        INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
        SELECT tenant, metric, period_start, period_end,
               CASE aggregation WHEN 'max' THEN greatest WHEN 'last' THEN last_value_quantity(last) ELSE more END,
               v, last_value_ms(last), last_value_entry(last)
          FROM totals
        ON CONFLICT (tenant, metric, period_start) DO UPDATE
           SET quantity = CASE (SELECT m.aggregation FROM metrics m WHERE m.metric = excluded.metric)
                   WHEN 'max' THEN CASE WHEN t.last_entry = '' THEN excluded.quantity -- all was taken back
                                        ELSE greatest(t.quantity, excluded.quantity) END
                   WHEN 'last' THEN CASE WHEN (excluded.last_ms, excluded.last_entry) >= (t.last_ms, t.last_entry)
                                         THEN excluded.quantity ELSE t.quantity END
                   ELSE t.quantity + excluded.quantity END,
               -- A number taken before this row was waited for may be older than the one that is there, which the
               -- sink may have claimed by.
               version = greatest(excluded.version, t.version + 1),
               last_entry = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (t.last_ms, t.last_entry)
                                 THEN excluded.last_entry ELSE t.last_entry END,
               last_ms = greatest(t.last_ms, excluded.last_ms),
               updated_at = now()
        RETURNING t.tenant, t.metric, t.quantity, t.version, t.period_start, t.period_end
    )
    SELECT r.tenant, r.metric, r.quantity, r.version, r.period_end
      FROM added r
     WHERE r.period_start <= now() AND now() < r.period_end;

    IF k_tenants IS NOT NULL THEN
        RETURN QUERY SELECT * FROM carry_added(k_tenants, k_metrics, k_since, v);
    END IF;
    IF EXISTS (SELECT FROM usage_recounts WHERE stream = p_stream) THEN
        RETURN QUERY SELECT * FROM recount_usage(p_stream);
    END IF;
END $$;

REVOKE ALL ON FUNCTION fold_usage(text), count_pending(text, integer), cover_pending(text, bigint, bigint, bigint),
    recount_usage(text), open_carried_totals(integer),
    count_raw_events(text[], timestamptz, timestamptz, timestamptz[], bigint),
    correct_totals(text[], text[], timestamptz[], boolean[], bigint[]),
    carry_totals(text[], text[], timestamptz[], bigint), carry_added(text[], text[], timestamptz[], bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fold_usage(text), open_carried_totals(integer) TO meterline_aggregator;
GRANT EXECUTE ON FUNCTION count_pending(text, integer), cover_pending(text, bigint, bigint, bigint)
    TO meterline_aggregator;
GRANT EXECUTE ON FUNCTION recount_usage(text), count_raw_events(text[], timestamptz, timestamptz, timestamptz[], bigint),
    correct_totals(text[], text[], timestamptz[], boolean[], bigint[]),
    carry_totals(text[], text[], timestamptz[], bigint) TO meterline_ctl;
