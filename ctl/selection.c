#include "ctl/selection.h"

#include "ctl/ctl.h"
#include "ctl/db.h"

#include <string.h>

static bool holds(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return false;
}

int selection_parse(struct selection *s, int count, char **words)
{
    if (count > 0)
        s->named = json_array();
    for (int i = 0; i < count; i++)
        if (!holds(s->named, words[i]) && json_array_append_new(s->named, json_string(words[i])))
            return ctl_fail(-1, "%s is no identifier: it is not UTF-8", words[i]);
    return 0;
}

void selection_done(struct selection *s)
{
    json_decref(s->named);
}

PGresult *selection_run(const struct selection *s, PGconn *conn, const char *sql, int n,
                        const char *const *values, struct err *e)
{
    PGresult *rows = db_script(conn, "BEGIN", e) ? NULL : db_query(conn, sql, n, values, e);
    if (!rows || db_script(conn, s->named || s->yes ? "COMMIT" : "ROLLBACK", e) == 0)
        return rows;
    PQclear(rows);
    return NULL;
}
