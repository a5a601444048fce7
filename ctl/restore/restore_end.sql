-- Nobody is held any more.
DELETE FROM restore_checks
