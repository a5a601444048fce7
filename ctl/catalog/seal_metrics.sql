-- Metrics as this catalog has them: what is altered later shows in the audit.
UPDATE metrics m SET checksum = metric_checksum(m) WHERE checksum IS DISTINCT FROM metric_checksum(m)
