/* Making a connection: looking up the hosts, options, PQconnectPoll, and a first pipeline.
 *
 * The happy path: the loop looks up the hosts of DATABASE_URL, since libpq itself would block the
 * whole process until the resolver answers. `host` may list several; each name becomes as many
 * entries as it has addresses, with `hostaddr` telling libpq the address, while `host` stays what
 * certificates and passwords are looked up by. Sockets go through as they are, and so does a URL
 * that has addresses itself. Then PQconnectPoll is called each time the socket is ready until it
 * says OK; the first pipeline asks for the server's clock, which also tells whether we may take our
 * role; with the answer pg is READY.
 *
 * Of several hosts or addresses each is tried by itself, so that one that does not answer or cannot
 * be written to keeps none of the others from being tried. One that is read-only by default, as an
 * operator makes the old primary of two, is taken only when no other will do.
 *
 * The failure modes: a URL that libpq cannot parse, names of which none is known, a server that
 * cannot be reached, refuses us or is a standby, a role that is missing. Each is told to on_down,
 * and tried again after the wait. */
#include "common/pg/pg_internal.h"

#include "common/clock.h"
#include "common/lookup.h"
#include "common/sql.h"
#include "common/str.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options that the URL may override. With these a peer that vanishes silently is noticed after
 * about 25 s when idle (keepalives, in s), and after 10 s with data in flight (in ms). */
static const struct {
    const char *keyword;
    const char *value;
} DEFAULTS[] = {
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "10000"},
};
enum { ADDRESS_SIZE = 128 };
enum { CLOCK_ANSWER_MAX_MS = 1000 };
enum { CONNECT_DEADLINE_MS = 10000, EACH_DEADLINE_MS = 3000 }; /* of one host, of each of several */
enum { N_DEFAULTS = sizeof DEFAULTS / sizeof *DEFAULTS };

/* Looking up the hosts. */

static const char *find_option(const struct pg *pg, const char *keyword)
{
    for (const PQconninfoOption *o = pg->hosts.options; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val;
    return NULL;
}

static size_t count_items(const char *list)
{
    size_t n = 1;
    for (const char *at = list; (at = strchr(at, ',')) != NULL; at++)
        n++;
    return n;
}

/* The k-th item of a list with commas; malloc'd. */
static char *copy_item(const char *list, size_t k)
{
    for (; k > 0; k--)
        list = strchr(list, ',') + 1;
    return xstrndup(list, strcspn(list, ","));
}

/* One port serves all hosts; none is libpq's default. */
static char *copy_port(const struct pg *pg, size_t k)
{
    const char *ports = find_option(pg, "port");
    if (!ports)
        return xstrdup("");
    return copy_item(ports, count_items(ports) == 1 ? 0 : k);
}

static void add_entry(struct pg *pg, const char *host, const char *address)
{
    struct pg_hosts *h = &pg->hosts;
    h->entries = xrealloc(h->entries, (size_t)(h->n + 1) * sizeof *h->entries);
    h->entries[h->n++] = (struct pg_host){xstrdup(host), xstrdup(address), copy_port(pg, h->at)};
}

bool pg_has_next_host(const struct pg *pg)
{
    return pg->hosts.next < pg->hosts.n;
}

void pg_say_host(struct pg *pg, const struct err *error)
{
    if (pg->hosts.options)
        buf_printf(&pg->hosts.said, "%s%s", pg->hosts.said.length > 0 ? "; " : "", error->text);
}

static void add_addresses(struct pg *pg, const char *host, const struct addrinfo *found)
{
    char address[ADDRESS_SIZE];
    for (; found; found = found->ai_next)
        if (getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address, NULL, 0,
                        NI_NUMERICHOST) == 0)
            add_entry(pg, host, address);
}

static void note_unknown(struct pg *pg, const char *host, int status)
{
    struct err e;
    err_set(&e, ERR_CONNECT, "look up %s: %s", host, uv_strerror(status));
    pg_say_host(pg, &e);
}

static void look_up(struct pg *pg);

static void on_resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct pg *pg = lookup->data;
    lookup_ended();
    if (pg->state != PG_IS_CLOSING) {
        char *host = copy_item(find_option(pg, "host"), pg->hosts.at);
        if (status == 0)
            add_addresses(pg, host, found);
        else
            note_unknown(pg, host, status);
        free(host);
        pg->hosts.at++;
        look_up(pg);
    }
    uv_freeaddrinfo(found);
    pg_release_handle(pg);
}

static bool start_lookup(struct pg *pg, const char *host)
{
    pg->hosts.lookup.data = pg;
    int failed = lookup_start(pg->loop, &pg->hosts.lookup, on_resolved, host);
    if (failed)
        note_unknown(pg, host, failed);
    else
        pg->handles++;
    return !failed;
}

/* A path, an abstract socket, or libpq's default. */
static bool is_socket(const char *host)
{
    return *host == '\0' || *host == '/' || *host == '@';
}

/* A URL that libpq refuses anyhow is left to libpq, whose error text is clear. */
static bool wants_lookup(const struct pg *pg)
{
    const char *hosts = find_option(pg, "host");
    const char *ports = find_option(pg, "port");
    if (!hosts || find_option(pg, "hostaddr"))
        return false;
    return !ports || count_items(ports) == 1 || count_items(ports) == count_items(hosts);
}

/* Returns true if a lookup of the host at hosts.at was started. */
static bool start_host(struct pg *pg)
{
    char *host = copy_item(find_option(pg, "host"), pg->hosts.at);
    bool started = !is_socket(host) && start_lookup(pg, host);
    if (is_socket(host))
        add_entry(pg, host, "");
    free(host);
    return started;
}

/* Looks up the host at hosts.at and those behind it, then connects. */
static void look_up(struct pg *pg)
{
    struct pg_hosts *h = &pg->hosts;
    if (!wants_lookup(pg)) {
        pg_connect_start(pg);
        return;
    }
    for (; h->at < count_items(find_option(pg, "host")); h->at++)
        if (start_host(pg))
            return;
    if (h->n > 0) {
        pg_connect_start(pg);
        return;
    }
    struct err e;
    err_set(&e, ERR_CONNECT, "%s", h->said.data);
    buf_clear(&h->said);
    pg_lost(pg, &e);
}

void pg_resolve_done(struct pg *pg)
{
    struct pg_hosts *h = &pg->hosts;
    PQconninfoFree(h->options);
    for (int i = 0; i < h->n; i++) {
        free(h->entries[i].name);
        free(h->entries[i].address);
        free(h->entries[i].port);
    }
    free(h->entries);
    buf_done(&h->said);
    h->options = NULL;
    h->entries = NULL;
    h->n = h->next = 0;
    h->at = 0;
}

/* Connecting. */

struct options {
    const char **keywords; /* ends in NULL */
    const char **values;
    size_t n;
};

static void add_option(struct options *o, const char *keyword, const char *value)
{
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->keywords[i], keyword) == 0)
            return;
    o->keywords[o->n] = keyword;
    o->values[o->n++] = value;
}

/* libpq quotes what it could not parse, which may be the whole URL or a piece of the password. So
 * everything between the first and the last quote is masked. */
static void url_err(struct err *e, const char *message)
{
    char line[sizeof e->text];
    pg_first_line(message ? message : "out of memory", line, sizeof line);
    const char *first = strchr(line, '"');
    const char *last = strrchr(line, '"');
    if (!first)
        err_set(e, ERR_CONFIG, "DATABASE_URL cannot be read: %s", line);
    else
        err_set(e, ERR_CONFIG, "DATABASE_URL cannot be read: %.*s\"***\"%s", (int)(first - line),
                line, last > first ? last + 1 : "");
}

/* Of two options with one keyword the first one counts, so what was looked up goes before what the
 * URL says. */
static PGconn *start_conn(const struct pg *pg)
{
    size_t most = N_DEFAULTS + 6; /* hosts, encoding, application_name and the NULL at the end */
    for (const PQconninfoOption *p = pg->hosts.options; p->keyword; p++)
        most++;
    struct options o = {xcalloc(most, sizeof *o.keywords), xcalloc(most, sizeof *o.values), 0};
    if (pg->hosts.n > 0) {
        const struct pg_host *host = &pg->hosts.entries[pg->hosts.next];
        add_option(&o, "host", host->name);
        add_option(&o, "hostaddr", host->address);
        add_option(&o, "port", host->port);
    }
    add_option(&o, "client_encoding", "UTF8");
    for (const PQconninfoOption *p = pg->hosts.options; p->keyword; p++)
        if (p->val && *p->val)
            add_option(&o, p->keyword, p->val);
    add_option(&o, "application_name", pg->application_name);
    for (size_t i = 0; i < N_DEFAULTS; i++)
        add_option(&o, DEFAULTS[i].keyword, DEFAULTS[i].value);
    PGconn *conn = PQconnectStartParams(o.keywords, o.values, 0);
    free(o.keywords);
    free(o.values);
    return conn;
}

static char *url_in_force; /* NULL: each connection's own */

void pg_use_url(const char *url)
{
    free(url_in_force);
    url_in_force = url ? xstrdup(url) : NULL;
}

void pg_connect_prepare(struct pg *pg)
{
    char *message = NULL;
    machine_go(&PG_MACHINE, pg->state, PG_IS_RESOLVING);
    pg->hosts.options = PQconninfoParse(url_in_force ? url_in_force : pg->url, &message);
    if (pg->hosts.options) {
        look_up(pg);
        return;
    }
    struct err e;
    url_err(&e, message);
    PQfreemem(message);
    pg_lost(pg, &e);
}

static void connect_failed(struct pg *pg)
{
    struct err e;
    char line[sizeof e.text];
    pg_first_line(PQerrorMessage(pg->conn), line, sizeof line);
    err_set(&e, ERR_CONNECT, "%s", line);
    pg_lost(pg, &e);
}

void pg_connect_start(struct pg *pg)
{
    machine_go(&PG_MACHINE, pg->state, PG_IS_CONNECTING);
    pg_start_timer(pg, pg->hosts.n > 1 ? EACH_DEADLINE_MS : CONNECT_DEADLINE_MS);
    pg->fatal = (struct err){0};
    pg->conn = start_conn(pg);
    assert(pg->conn); /* NULL only without memory */
    pg->hosts.next++;
    PQsetNoticeReceiver(pg->conn, pg_on_notice, pg);
    if (PQstatus(pg->conn) == CONNECTION_BAD)
        connect_failed(pg);
    else
        pg_watch(pg, UV_WRITABLE); /* as libpq's manual says: as if it had answered WRITING */
}

static void take_clock(struct pg *pg, const PGresult *r)
{
    int64_t answered_ms = clock_unix_ms();
    /* A pooler may have kept the question waiting; then the answer is of no use. */
    if (answered_ms - pg->asked_clock_ms > CLOCK_ANSWER_MAX_MS)
        return;
    int64_t ours_ms = pg->asked_clock_ms + (answered_ms - pg->asked_clock_ms) / 2;
    pg->clock_offset_ms = pg_get_time_ms(r, 0, 0) - ours_ms;
    peer_measured_clock(PEER_POSTGRES, pg->clock_offset_ms);
}

static void take_setup(void *owner, const struct err *error, PGresult **results, int n)
{
    struct pg *pg = owner;
    if (error) {
        struct err e = *error;
        if (pg->role && e.kind == ERR_REFUSED)
            err_wrap(&e, PG_ROLE_REFUSED, pg->role);
        pg_lost(pg, &e);
        return;
    }
    if (pg->hosts.n > 1 && !pg->takes_reader && pg_get_i64(results[n - 1], 0, 1)) {
        struct err e;
        err_set(&e, ERR_REFUSED, "%s:%s is read-only by default", PQhost(pg->conn),
                PQport(pg->conn));
        pg_lost(pg, &e);
        return;
    }
    take_clock(pg, results[n - 1]);
    /* A pooler makes up the number of a process, since it has many. */
    pg->is_direct = pg_get_i64(results[n - 1], 0, 2) == PQbackendPID(pg->conn);
    pg_resolve_done(pg);
    pg->takes_reader = false;
    backoff_reset(&pg->backoff);
    peer_link_up(&pg->peer);
    if (pg->events.on_up)
        pg->events.on_up(pg->events.owner);
}

static void run_setup(struct pg *pg)
{
    int blocking = PQsetnonblocking(pg->conn, 1);
    int pipelined = PQenterPipelineMode(pg->conn);
    assert(!blocking && pipelined); /* an idle connection refuses neither */
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_CLOCK);
    s.binary_result = true;
    machine_go(&PG_MACHINE, pg->state, PG_IS_SETUP);
    pg->in_transaction = false;
    pg->pipeline = (struct pg_pipeline){.done = take_setup, .owner = pg};
    pg->asked_clock_ms = clock_unix_ms();
    struct err e;
    pg_pipeline_begin(pg, 1);
    pg_pipeline_add(pg, &s);
    if (pg_pipeline_end(pg, &e) != 0)
        pg_lost(pg, &e);
}

/* libpq may close the socket and open another one (several addresses, TLS refused), even under the
 * same number, which epoll would no longer watch. So the handle lives for one step only. */
void pg_connect_step(struct pg *pg)
{
    pg_unwatch(pg);
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_READING:
        pg_watch(pg, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
    case PGRES_POLLING_ACTIVE:
        pg_watch(pg, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        run_setup(pg);
        break;
    case PGRES_POLLING_FAILED:
        connect_failed(pg);
        break;
    }
}
