-- What a tenant has used and Stripe does not have yet, by metric and why: nothing once the sink has settled it. Where
-- a minute was taken, usage was sent with a later one (free_minute), and is billed only once that has come.
-- $1 text: tenant; $2 text: its stream; $3 text: the stream's newest entry when this was asked for, or NULL
SELECT 'usage' AS metric, 'counting' AS reason, 'some' AS quantity
 WHERE $3::text IS NOT NULL
   AND NOT EXISTS (SELECT FROM stream_positions p
                    WHERE p.stream = $2
                      AND (split_part(p.last_id, '-', 1)::numeric, split_part(p.last_id, '-', 2)::numeric)
                          >= (split_part($3, '-', 1)::numeric, split_part($3, '-', 2)::numeric))
UNION ALL
SELECT u.metric, u.reason, trim_scale(u.quantity)::text FROM unsettled_usage($1) u
UNION ALL
SELECT s.metric, 'ahead', trim_scale(sum(s.quantity))::text
  FROM usage_submissions s
 WHERE s.tenant = $1 AND s.state = 'sent' AND s.usage_at > clock_timestamp() - interval '2 seconds'
 GROUP BY s.metric
