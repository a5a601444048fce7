-- Every metric that there is or was.
SELECT metric FROM metrics ORDER BY metric
