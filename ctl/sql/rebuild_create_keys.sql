-- What has minute rows, so that one day's are found by their key.
create temporary table rebuild_keys (
    tenant text not null,
    metric text not null
) on commit drop
