-- Every metric that there is or was.
select metric from metrics order by metric
