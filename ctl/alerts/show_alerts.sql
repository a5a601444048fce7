-- Whom a tenant's messages go to, and at which per cent of its limits it is told; without a tenant, of all that have
-- settings of their own. The secret is not shown, nor a password in the URL.
-- $1 text: tenant, or NULL
SELECT w.tenant, s.email, regexp_replace(s.post_url, '^([a-z]+://[^/?#@:]*):[^/?#@]*@', '\1:***@', 'i') AS url,
       s.post_secret IS NOT NULL AS has_secret,
       array_to_string(coalesce(s.thresholds, ARRAY(SELECT percent FROM alert_thresholds ORDER BY percent)), ',') AS thresholds,
       s.thresholds IS NOT NULL AS own_thresholds,
       (SELECT count(*) FROM outgoing_messages m
         WHERE m.tenant = w.tenant AND m.channel <> 'signal' AND m.state = 'waiting') AS waiting,
       (SELECT count(*) FROM outgoing_messages m
         WHERE m.tenant = w.tenant AND m.channel <> 'signal' AND m.state = 'failed') AS failed, s.updated_at
  FROM (SELECT $1::text AS tenant WHERE $1::text IS NOT NULL
        UNION
        SELECT tenant FROM alert_settings WHERE $1::text IS NULL) w
  LEFT JOIN alert_settings s USING (tenant)
 ORDER BY w.tenant
