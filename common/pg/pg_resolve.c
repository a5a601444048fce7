/* Looking up the hosts of DATABASE_URL by the loop: libpq itself would block the whole process
 * until the resolver answers.
 *
 * The happy path: `host` may list several; each name becomes as many entries as it has addresses,
 * with `hostaddr` telling libpq the address, while `host` stays what certificates and passwords are
 * looked up by. Sockets go through as they are, and so does a URL that has addresses itself.
 *
 * The failure modes: a name that is not known is left out; if nothing is left, pg_lost. */
#include "common/pg/pg_internal.h"

#include "common/str.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS_SIZE = 128 };

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

static void on_resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct pg *pg = lookup->data;
    if (pg->state != PG_IS_CLOSING) {
        char *host = copy_item(find_option(pg, "host"), pg->hosts.at);
        if (status == 0)
            add_addresses(pg, host, found);
        else
            note_unknown(pg, host, status);
        free(host);
        pg->hosts.at++;
        pg_resolve(pg);
    }
    uv_freeaddrinfo(found);
    pg_release_handle(pg);
}

/* Without a deadline: a lookup that runs cannot be stopped, and it ends by the resolver's own. */
static bool start_lookup(struct pg *pg, const char *host)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    pg->hosts.lookup.data = pg;
    int failed = uv_getaddrinfo(pg->loop, &pg->hosts.lookup, on_resolved, host, NULL, &hints);
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

/* What libpq would refuse anyhow is left to it, for its clear text. */
static bool wants_lookup(const struct pg *pg)
{
    const char *hosts = find_option(pg, "host");
    const char *ports = find_option(pg, "port");
    if (!hosts || find_option(pg, "hostaddr"))
        return false;
    return !ports || count_items(ports) == 1 || count_items(ports) == count_items(hosts);
}

/* True if the host at hosts.at is being looked up. */
static bool take_host(struct pg *pg)
{
    char *host = copy_item(find_option(pg, "host"), pg->hosts.at);
    bool started = !is_socket(host) && start_lookup(pg, host);
    if (is_socket(host))
        add_entry(pg, host, "");
    free(host);
    return started;
}

void pg_resolve(struct pg *pg)
{
    struct pg_hosts *h = &pg->hosts;
    if (!wants_lookup(pg)) {
        pg_connect_start(pg);
        return;
    }
    for (; h->at < count_items(find_option(pg, "host")); h->at++)
        if (take_host(pg))
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
