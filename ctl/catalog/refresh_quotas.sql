-- Bring every tenant that has quotas in line with the catalog. Returns how many there are.
WITH who AS MATERIALIZED (
    SELECT DISTINCT tenant FROM usage_quotas
), refreshed AS MATERIALIZED (
    SELECT refresh_quotas_of(ARRAY(SELECT tenant FROM who))
)
SELECT count(*) FROM who WHERE EXISTS (SELECT FROM refreshed)
