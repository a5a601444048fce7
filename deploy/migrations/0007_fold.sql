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
CREATE FUNCTION usage_month(p_at timestamptz) RETURNS tstzrange
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN tstzrange(date_trunc('month', p_at, 'UTC'),
                 (date_trunc('month', p_at AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');

-- Minute rows of all that was used from p_low until before p_high, counted from the raw events by the
-- definitions that each was counted by at its time. Events that were taken back are left out, and batches
-- that still wait to be folded. p_tenants: NULL for all.
CREATE FUNCTION count_raw_events(p_tenants text[], p_low timestamptz, p_high timestamptz)
RETURNS TABLE (tenant text, metric text, dimensions jsonb, minute_at timestamptz, events bigint,
               quantity_sum numeric, quantity_min numeric, quantity_max numeric, last text)
LANGUAGE sql STABLE SET work_mem = '64MB' SET jit = off AS $$
    WITH raw AS MATERIALIZED (
        SELECT *, coalesce(id_uuid::text, id_text) AS id
          FROM (SELECT b.catalog_version, b.stream, unnest(b.tenants) AS tenant, unnest(b.metrics) AS metric,
                       unnest(b.ids_uuid) AS id_uuid, unnest(b.ids_text) AS id_text, unnest(b.entry_ms) AS ms,
                       unnest(b.entry_seq) AS seq, unnest(b.quantities) AS quantity,
                       unnest(b.occurred_ms) AS occurred, unnest(b.fields) AS fields, unnest(b.retracts) AS retracts
                  FROM usage_batches b
                 WHERE b.occurred_min < p_high AND b.occurred_max >= p_low
                   AND (p_tenants IS NULL OR b.slice = ANY (ARRAY(SELECT tenant_slice(t) FROM unnest(p_tenants) t)))
                   AND NOT EXISTS (SELECT FROM usage_pending p WHERE p.batch = b.batch)) e
         WHERE e.occurred >= extract(epoch FROM p_low) * 1000 AND e.occurred < extract(epoch FROM p_high) * 1000
           AND (p_tenants IS NULL OR e.tenant = ANY (p_tenants))
    ), retractions AS MATERIALIZED (
        SELECT tenant, id, retracts FROM raw WHERE retracts > 0
    ), kept AS (
        SELECT r.*, coalesce(r.fields, '{}')::jsonb AS labels,
               minute_of(to_timestamp(0) + r.occurred * interval '1 ms') AS minute_at
          FROM raw r
         WHERE coalesce(r.retracts, 0) = 0
           AND NOT EXISTS (SELECT FROM retractions x
                            WHERE x.tenant = r.tenant
                              AND x.id = coalesce(r.id, r.stream || '/' || entry_half(r.ms) || '-' || entry_half(r.seq))
                              AND x.retracts = CASE WHEN r.id IS NULL THEN 2 ELSE 1 END)
    )
    SELECT k.tenant, v.metric, d.dimensions, k.minute_at, count(*), sum(k.quantity), min(k.quantity), max(k.quantity),
           max(last_value(k.occurred, k.ms, k.seq, k.quantity) COLLATE "C")
      FROM kept k
      JOIN metric_versions v ON coalesce(v.from_metric, v.metric) = k.metric AND v.from_version <= k.catalog_version
                            AND (v.until_version IS NULL OR k.catalog_version < v.until_version)
                            AND k.labels @> v.where_dimensions
     CROSS JOIN LATERAL (
           SELECT CASE WHEN v.dimensions = '{}' THEN '{}' ELSE
                  (SELECT coalesce(jsonb_object_agg(l.key, l.value), '{}') FROM jsonb_each(k.labels) l
                    WHERE l.key = ANY (v.dimensions)) END AS dimensions) d
     GROUP BY k.tenant, v.metric, d.dimensions, k.minute_at
$$;

-- Counts the minutes anew of which a stream's retractions took something back, and sets their totals right.
-- Part of fold_usage. Returns the totals of current periods that changed.
CREATE FUNCTION recount_usage(p_stream text)
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE plpgsql SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v bigint := nextval('usage_version');
    tenants text[];
    metrics text[];
    starts timestamptz[];
BEGIN
    WITH wanted AS (
        DELETE FROM usage_recounts WHERE stream = p_stream RETURNING tenant, metric, minute_at
    ), family AS MATERIALIZED (
        SELECT DISTINCT w.tenant, d.metric, w.minute_at
          FROM wanted w JOIN metric_versions d ON coalesce(d.from_metric, d.metric) = w.metric
    ), hours AS (
        SELECT array_agg(DISTINCT tenant) AS tenants, min(minute_at) AS low,
               max(minute_at) + interval '1 minute' AS high
          FROM wanted GROUP BY date_trunc('hour', minute_at)
    ), counted AS MATERIALIZED (
        SELECT c.*
          FROM hours h
         CROSS JOIN LATERAL count_raw_events(h.tenants, h.low, h.high) c
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
        ON CONFLICT (tenant, metric, minute_at, dimensions) DO UPDATE
           SET events = excluded.events, quantity_sum = excluded.quantity_sum, quantity_min = excluded.quantity_min,
               quantity_max = excluded.quantity_max, quantity_last = excluded.quantity_last,
               last_ms = excluded.last_ms, last_entry = excluded.last_entry
    ), moved AS MATERIALIZED (
        SELECT tenant, metric, dimensions, minute_at, coalesce(c.events, 0) - coalesce(b.events, 0) AS events,
               coalesce(c.quantity_sum, 0) - coalesce(b.quantity_sum, 0) AS quantity
          FROM before b FULL JOIN counted c USING (tenant, metric, dimensions, minute_at)
    ), placed AS MATERIALIZED (
        SELECT d.*, t.period_start, m.aggregation
          FROM moved d
          JOIN metrics m USING (metric)
          JOIN usage_totals t ON t.tenant = d.tenant AND t.metric = d.metric AND t.period_start <= d.minute_at
                             AND d.minute_at < t.period_end
    ), uniques AS (
        UPDATE usage_uniques u SET events = u.events + p.events
          FROM (SELECT tenant, metric, period_start, dimensions, sum(events) AS events FROM placed
                 WHERE aggregation = 'unique' GROUP BY tenant, metric, period_start, dimensions) p
         WHERE (u.tenant, u.metric, u.period_start, u.dimensions) = (p.tenant, p.metric, p.period_start, p.dimensions)
    ), changed AS (
        UPDATE usage_totals t
           SET quantity = t.quantity + p.more, version = v, updated_at = now()
          FROM (SELECT tenant, metric, period_start,
                       sum(CASE aggregation WHEN 'sum' THEN quantity WHEN 'count' THEN events ELSE 0 END) AS more
                  FROM placed GROUP BY tenant, metric, period_start) p
         WHERE (t.tenant, t.metric, t.period_start) = (p.tenant, p.metric, p.period_start)
        RETURNING t.tenant, t.metric, t.period_start
    )
    SELECT array_agg(c.tenant), array_agg(c.metric), array_agg(c.period_start)
      INTO tenants, metrics, starts
      FROM changed c;

    DELETE FROM usage_uniques u
     USING unnest(tenants, metrics, starts) k (tenant, metric, period_start)
     WHERE (u.tenant, u.metric, u.period_start) = (k.tenant, k.metric, k.period_start) AND u.events = 0;

    -- What cannot be subtracted. A carried period without usage of its own goes back to what it opened with.
    UPDATE usage_totals t
       SET quantity = coalesce(n.quantity, o.quantity, 0),
           last_ms = coalesce(n.last_ms, o.last_ms, t.last_ms),
           last_entry = coalesce(n.last_entry, o.last_entry, t.last_entry)
      FROM unnest(tenants, metrics, starts) k (tenant, metric, period_start)
      JOIN metrics m USING (metric)
      JOIN usage_totals x USING (tenant, metric, period_start)
      LEFT JOIN LATERAL (
           SELECT CASE m.aggregation
                      WHEN 'max' THEN max(a.quantity_max)
                      WHEN 'unique' THEN (SELECT count(*) FROM usage_uniques u
                                           WHERE (u.tenant, u.metric, u.period_start) = (k.tenant, k.metric, k.period_start))
                      ELSE (array_agg(a.quantity_last ORDER BY a.last_ms DESC, a.last_entry DESC))[1] END AS quantity,
                  max(a.last_ms) AS last_ms,
                  (array_agg(a.last_entry ORDER BY a.last_ms DESC, a.last_entry DESC))[1] AS last_entry
             FROM usage_aggregates a
            WHERE a.tenant = k.tenant AND a.metric = k.metric
              AND a.minute_at >= x.period_start AND a.minute_at < x.period_end) n ON true
      LEFT JOIN LATERAL (
           SELECT b.quantity, b.last_ms, b.last_entry FROM usage_totals b
            WHERE m.carry AND b.tenant = k.tenant AND b.metric = k.metric AND b.period_start < x.period_start
            ORDER BY b.period_start DESC LIMIT 1) o ON true
     WHERE (t.tenant, t.metric, t.period_start) = (k.tenant, k.metric, k.period_start)
       AND m.aggregation NOT IN ('sum', 'count');

    RETURN QUERY
    SELECT t.tenant, t.metric, t.quantity, t.version, t.period_end
      FROM unnest(tenants, metrics, starts) k (tenant, metric, period_start)
      JOIN usage_totals t USING (tenant, metric, period_start)
     WHERE t.period_start <= now() AND now() < t.period_end;
END $$;

-- Takes a stream's pending minute sums over into minute rows and period totals. Part of the transaction that added
-- them, or of a later one. Returns the totals of current periods that changed.
--
-- One fold of a stream at a time: what a paused process began is seen whole or not at all. Billing
-- periods stand still meanwhile. The settings keep its plan the same however tables grow: keys are looked up one by
-- one, what is in memory is hashed.
CREATE FUNCTION fold_usage(p_stream text)
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET work_mem = '64MB' SET jit = off
SET enable_nestloop = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM usage_pending WHERE stream = p_stream)
       AND NOT EXISTS (SELECT FROM usage_recounts WHERE stream = p_stream) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('meterline fold'), hashtext(p_stream));
    PERFORM pg_advisory_xact_lock_shared(hashtext('meterline periods'));
    v := nextval('usage_version');
    RETURN QUERY
    WITH taken AS (
        DELETE FROM usage_pending WHERE stream = p_stream RETURNING *
    ), sums AS (
        SELECT tenant, metric, minute_at, dimensions, sum(events)::bigint AS events, sum(quantity) AS quantity,
               min(least) AS least, max(greatest) AS greatest, max(last) AS last          FROM (SELECT unnest(tenants) AS tenant, unnest(metrics) AS metric, unnest(minutes) AS minute_at,
                       unnest(dimensions) AS dimensions, unnest(events) AS events, unnest(sums) AS quantity,
                       unnest(mins) AS least, unnest(maxs) AS greatest, unnest(lasts) AS last
                  FROM taken) p
         GROUP BY tenant, metric, minute_at, dimensions
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
                   WHEN 'max' THEN greatest(t.quantity, excluded.quantity)
                   WHEN 'last' THEN CASE WHEN (excluded.last_ms, excluded.last_entry) >= (t.last_ms, t.last_entry)
                                         THEN excluded.quantity ELSE t.quantity END
                   ELSE t.quantity + excluded.quantity END,
               version = excluded.version,
               last_entry = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (t.last_ms, t.last_entry)
                                 THEN excluded.last_entry ELSE t.last_entry END,
               last_ms = greatest(t.last_ms, excluded.last_ms),
               updated_at = now()
        RETURNING t.tenant, t.metric, t.quantity, t.version, t.period_start, t.period_end
    )
    SELECT r.tenant, r.metric, r.quantity, r.version, r.period_end
      FROM added r
     WHERE r.period_start <= now() AND now() < r.period_end;

    IF EXISTS (SELECT FROM usage_recounts WHERE stream = p_stream) THEN
        RETURN QUERY SELECT * FROM recount_usage(p_stream);
    END IF;
END $$;

REVOKE ALL ON FUNCTION fold_usage(text), recount_usage(text), count_raw_events(text[], timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fold_usage(text) TO meterline_aggregator, meterline_ctl;
GRANT EXECUTE ON FUNCTION recount_usage(text), count_raw_events(text[], timestamptz, timestamptz) TO meterline_ctl;
