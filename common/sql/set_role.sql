-- Take the stage's role for the session. By parameter: a name is never pasted into SQL.
-- $1 text: the role
select set_config('role', $1, false)
