-- Put a message into the outbox that says that it is a test. Returns the ways it goes.
-- $1 text: tenant
-- $2 text: what makes it another one than those before
WITH added AS MATERIALIZED (
    SELECT add_message('test', $2::text, $1::text,
                       jsonb_build_object('text', 'This is a test: messages of this kind arrive here.'), now()) AS is_new
)
SELECT w.channel, regexp_replace(w.destination, '^([a-z]+://[^/?#@:]*):[^/?#@]*@', '\1:***@', 'i') AS destination
  FROM added a
  LEFT JOIN alert_settings s ON s.tenant = $1::text
 CROSS JOIN LATERAL (VALUES ('signal', 'billing:signals'), ('mail', s.email), ('post', s.post_url)) w (channel, destination)
 WHERE a.is_new AND w.destination IS NOT NULL
