#include "ctl/names.h"

#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <ctype.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, MOST = 3 };

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment, row by row. A swap needs the two rows before. */
int names_distance(const char *a, const char *b, int most)
{
    int rows[3][NAME_MAX_BYTES + 1];
    size_t length = strlen(b);
    if (strlen(a) > NAME_MAX_BYTES || length > NAME_MAX_BYTES)
        return most + 1;
    for (size_t k = 0; k <= length; k++)
        rows[0][k] = (int)k;
    for (size_t i = 1; a[i - 1]; i++) {
        int *now = rows[i % 3];
        const int *last = rows[(i + 2) % 3];
        const int *before = rows[(i + 1) % 3];
        int best = now[0] = (int)i;
        for (size_t k = 1; k <= length; k++) {
            now[k] = least(least(last[k], now[k - 1]) + 1,
                           last[k - 1] + (same(a[i - 1], b[k - 1]) ? 0 : 1));
            if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) && same(a[i - 2], b[k - 1]))
                now[k] = least(now[k], before[k - 2] + 1);
            best = least(best, now[k]);
        }
        if (best > most)
            return most +
                   1; /* later rows have nothing smaller, except by a swap, which costs 1 too */
    }
    return least(rows[strlen(a) % 3][length], most + 1);
}

void names_add_near(struct names_near *n, const char *wanted, const char *name)
{
    int most = least((int)(strlen(wanted) + 2) / 3, MOST);
    int distance = names_distance(wanted, name, most);
    int at = n->count;
    if (distance > most)
        return;
    while (at > 0 && n->distances[at - 1] > distance)
        at--;
    if (at == NAMES_SHOWN)
        return;
    if (n->count < NAMES_SHOWN)
        n->count++;
    for (int i = n->count - 1; i > at; i--) {
        n->names[i] = n->names[i - 1];
        n->distances[i] = n->distances[i - 1];
    }
    n->names[at] = name;
    n->distances[at] = distance;
}

static int fail_unknown(const char *kind, const char *name, const PGresult *names,
                        const char *otherwise)
{
    struct names_near near = {0};
    struct buf hint = {0};
    for (int i = 0; i < PQntuples(names); i++)
        names_add_near(&near, name, db_text(names, i, 0));
    for (int i = 0; i < near.count; i++)
        buf_printf(&hint, "%s%s",
                   i == 0                ? "; did you mean "
                   : i == near.count - 1 ? " or "
                                         : ", ",
                   near.names[i]);
    if (near.count == 0)
        buf_printf(&hint, " (%s)", otherwise);
    else
        buf_add_char(&hint, '?');
    ctl_fail(CTL_FAILED, "no such %s: %s%s", kind, name, hint.data);
    buf_done(&hint);
    return CTL_FAILED;
}

/* Returns CTL_DONE, CTL_FAILED after telling, or -1 with e: it could not be looked up. */
static int check_tenant(PGconn *conn, const char *tenant, struct err *e)
{
    PGresult *found = db_query(conn, SQL_FIND_TENANT, 1, &tenant, e);
    if (!found)
        return -1;
    bool known = *db_text(found, 0, 0) == 't';
    PQclear(found);
    if (known)
        return CTL_DONE;
    PGresult *names = db_query(conn, SQL_LIST_NEAR_TENANTS, 1, &tenant, e);
    if (!names)
        return -1;
    int code = fail_unknown("tenant", tenant, names,
                            "nothing was ever counted, rejected or billed under that name");
    PQclear(names);
    return code;
}

/* Of the catalog: kind is "metric" or "plan". */
static int check_listed(PGconn *conn, const char *sql, const char *kind, const char *name,
                        struct err *e)
{
    PGresult *names = db_query(conn, sql, 0, NULL, e);
    if (!names)
        return -1;
    int code = db_find(names, 0, name) >= 0
                   ? CTL_DONE
                   : fail_unknown(kind, name, names, "see `meterctl catalog show`");
    PQclear(names);
    return code;
}

int names_check(PGconn *conn, const char *tenant, const char *metric, int unread)
{
    struct err e;
    int of_tenant = tenant ? check_tenant(conn, tenant, &e) : CTL_DONE;
    int of_metric = metric && of_tenant >= 0
                        ? check_listed(conn, SQL_LIST_METRICS, "metric", metric, &e)
                        : CTL_DONE;
    if (of_tenant < 0 || of_metric < 0)
        return ctl_fail_err(unread, &e);
    return of_tenant != CTL_DONE ? of_tenant : of_metric;
}

int names_check_plan(PGconn *conn, const char *plan, int unread)
{
    struct err e;
    int code = plan ? check_listed(conn, SQL_LIST_PLANS, "plan", plan, &e) : CTL_DONE;
    return code < 0 ? ctl_fail_err(unread, &e) : code;
}
