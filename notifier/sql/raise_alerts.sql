-- Looks at usage that may have passed a threshold, and returns how many notes were taken up and how many alerts raised.
-- $1 int8: the most notes
SELECT checked, raised FROM raise_usage_alerts($1)
