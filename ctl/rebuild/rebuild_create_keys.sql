-- Tenants and metrics that have minute rows, so that the rows of one day can be found by their key.
CREATE TEMPORARY TABLE rebuild_keys (
    tenant text COLLATE "C" NOT NULL,
    metric text COLLATE "C" NOT NULL
) ON COMMIT DROP
