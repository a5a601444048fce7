-- Metrics as this catalog has them: what is altered later shows in the audit.
update metrics m set checksum = metric_checksum(m) where checksum is distinct from metric_checksum(m)
