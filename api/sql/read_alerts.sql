-- Whom a tenant's messages go to, and at which per cent of its limits it is told, as JSON. The secret is not shown, nor a
-- password in the URL.
-- $1 text: tenant
SELECT json_build_object('tenant', $1::text, 'email', s.email,
                         'url', regexp_replace(s.post_url, '^([a-z]+://[^/?#@:]*):[^/?#@]*@', '\1:***@', 'i'),
                         'thresholds', coalesce(s.thresholds, ARRAY(SELECT percent FROM alert_thresholds ORDER BY percent)),
                         'own_thresholds', s.thresholds IS NOT NULL, 'secret', NULL::text, 'updated_at', s.updated_at)
  FROM (VALUES ($1::text)) w (tenant)
  LEFT JOIN alert_settings s USING (tenant)
