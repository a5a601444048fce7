-- What is claimed of each total from now on. Arrays of one length.
-- $1 text[] tenant, $2 text[] metric, $3 timestamptz[] period_start, $4 int8[] version,
-- $5 numeric[] claimed, $6 int8[] claims, $7 timestamptz[] first_at, $8 timestamptz[] last_at (both NULL
-- where there is none), $9 int8[] periods_version
INSERT INTO usage_claims AS c (tenant, metric, period_start, version, claimed, claims, first_at, last_at,
                               periods_version)
SELECT *
  FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int8[], $5::numeric[], $6::int8[],
              $7::timestamptz[], $8::timestamptz[], $9::int8[])
    ON CONFLICT (tenant, metric, period_start) DO UPDATE
   SET version = excluded.version, claimed = excluded.claimed, claims = excluded.claims,
       first_at = excluded.first_at, last_at = excluded.last_at, periods_version = excluded.periods_version
