-- One claimer at a time of a tenant, until COMMIT. A half shares the lock with the other one, whose tenants are others; whoever has it
-- alone may touch any. Runs of one name and half wait for nobody: where another sink makes one, it does the work, and
-- locked is false. Else pages of other runs are waited for. Until COMMIT the planner is told to go along indexes, from
-- row to row, whatever it believes of tables that grow faster than their statistics; and not to compile just in time,
-- which takes longer than a page.
-- $1 text: name of the run; NULL: wait for any
-- $2 text: off: never sort, as reading along a key needs it; on
-- $3 int8: half, 1 or 2; 0: alone
SELECT r.locked AND (CASE WHEN r.locked AND $3::int8 = 0 THEN pg_advisory_xact_lock(hashtext('meterline claims'))::text
                          WHEN r.locked THEN pg_advisory_xact_lock_shared(hashtext('meterline claims'))::text
                     END) IS NOT NULL AS locked,
       set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
       set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_material', 'off', true), set_config('enable_sort', $2, true)
  FROM (SELECT $1::text IS NULL OR pg_try_advisory_xact_lock(hashtext($1), $3::int8::int4) AS locked OFFSET 0) AS r
