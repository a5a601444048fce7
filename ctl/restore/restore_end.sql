-- End all checks: no tenant is held any more.
DELETE FROM restore_checks
