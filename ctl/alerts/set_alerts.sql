-- Set whom a tenant's messages go to. What is NULL stays; '' takes it away. A secret goes with its URL:
-- whoever answered under the old one must not be able to sign for the new one.
-- $1 text: tenant
-- $2 text: email, or NULL
-- $3 text: URL, or NULL
-- $4 text: thresholds, such as 80,100, or NULL
-- $5 text: the secret that is taken if the URL is another one
-- $6 boolean: take it anyway
-- Returns the secret if it was taken, else ''.
WITH was AS (
    SELECT post_url, post_secret FROM alert_settings WHERE tenant = $1::text
), wanted AS (
    SELECT CASE WHEN $3::text IS NULL THEN (SELECT post_url FROM was) ELSE NULLIF($3::text, '') END AS post_url
), written AS (
    INSERT INTO alert_settings AS s (tenant, email, post_url, post_secret, thresholds)
    SELECT $1::text, NULLIF($2::text, ''), w.post_url, CASE WHEN w.post_url IS NOT NULL THEN $5::text END,
           CASE WHEN $4::text <> '' THEN string_to_array($4::text, ',')::integer[] END
      FROM wanted w
    ON CONFLICT (tenant) DO UPDATE
       SET email = CASE WHEN $2::text IS NULL THEN s.email ELSE excluded.email END,
           post_url = excluded.post_url,
           post_secret = CASE WHEN excluded.post_url IS NULL THEN NULL
                              WHEN $6::boolean OR excluded.post_url IS DISTINCT FROM s.post_url THEN excluded.post_secret
                              ELSE s.post_secret END,
           thresholds = CASE WHEN $4::text IS NULL THEN s.thresholds ELSE excluded.thresholds END,
           updated_at = now()
    RETURNING s.post_secret
)
SELECT CASE WHEN w.post_secret = $5::text THEN w.post_secret ELSE '' END FROM written w
