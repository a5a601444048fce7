#include "ctl/selection.h"

#include "ctl/ctl.h"

#include <string.h>

static bool holds(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return false;
}

int selection_name(struct selection *s, int count, char **words)
{
    if (count > 0)
        s->named = json_array();
    for (int i = 0; i < count; i++)
        if (!holds(s->named, words[i]) && json_array_append_new(s->named, json_string(words[i])))
            return ctl_fail(-1, "not an identifier: %s", words[i]);
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

static bool is_among(const PGresult *rows, const char *identifier)
{
    for (int i = 0; i < PQntuples(rows); i++)
        if (strcmp(db_text(rows, i, 0), identifier) == 0)
            return true;
    return false;
}

void selection_tell_unknown(const struct selection *s, const PGresult *rows)
{
    for (size_t i = 0; i < json_array_size(s->named); i++) {
        const char *identifier = json_string_value(json_array_get(s->named, i));
        if (!is_among(rows, identifier))
            ctl_fail(CTL_FAILED, "there is no submission %s", identifier);
    }
}

int selection_code(const struct selection *s, int found, int done)
{
    if (s->named)
        return (size_t)done < json_array_size(s->named) ? CTL_FAILED : CTL_DONE;
    if (s->yes || done == 0)
        return CTL_DONE;
    return ctl_fail(CTL_FAILED, "nothing was done: say --yes for these %d of %d", done, found);
}
