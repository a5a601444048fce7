-- The catalog's version: it rises with every change.
select value from ledger_state where name = 'catalog_version'
