-- What has minute rows, so that one day's are found by their key.
CREATE TEMPORARY TABLE rebuild_keys (
    tenant text COLLATE "C" NOT NULL,
    metric text COLLATE "C" NOT NULL
) ON COMMIT DROP
