-- Sets whom a tenant's messages go to, all of it. A secret goes with its URL: the same URL keeps its own.
-- $1 text: tenant; $2 text: email, or NULL; $3 text: URL, or NULL; $4 text: thresholds as an array, or NULL;
-- $5 text: the secret that is taken if the URL is another one. Returns it if it was, else NULL.
INSERT INTO alert_settings AS s (tenant, email, post_url, post_secret, thresholds)
VALUES ($1::text, $2::text, $3::text, CASE WHEN $3::text IS NOT NULL THEN $5::text END, $4::text::integer[])
ON CONFLICT (tenant) DO UPDATE
   SET email = excluded.email, post_url = excluded.post_url, thresholds = excluded.thresholds, updated_at = now(),
       post_secret = CASE WHEN s.post_url = excluded.post_url THEN s.post_secret ELSE excluded.post_secret END
RETURNING CASE WHEN s.post_secret = $5::text THEN s.post_secret END
