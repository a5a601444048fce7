-- Nobody is held any more.
delete from restore_checks
