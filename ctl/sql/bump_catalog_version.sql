-- Tell the stages that the catalog has changed.
update ledger_state
   set value = value + 1
 where name = 'catalog_version'
returning value
