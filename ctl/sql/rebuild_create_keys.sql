-- What has minute rows, so that one day's are found by their key.
create temporary table rebuild_keys (
    tenant text collate "C" not null,
    metric text collate "C" not null
) on commit drop
