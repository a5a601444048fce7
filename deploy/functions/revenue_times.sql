-- The times of a series: the first, each step (day, week or month, in UTC) behind it, and the last.
CREATE OR REPLACE FUNCTION revenue_times(p_from timestamptz, p_to timestamptz, p_step text) RETURNS timestamptz[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT x.at FROM (SELECT t AT TIME ZONE 'UTC' AS at
                                 FROM generate_series(p_from AT TIME ZONE 'UTC', p_to AT TIME ZONE 'UTC',
                                                      ('1 ' || p_step)::interval) t
                                UNION SELECT p_to WHERE p_from <= p_to) x
              ORDER BY x.at);

COMMENT ON FUNCTION revenue_times IS 'The times of a series of revenue.';
