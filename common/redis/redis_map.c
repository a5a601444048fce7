#include "common/redis/redis_map.h"

#include "common/log.h"
#include "common/metric_table.h"
#include "common/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535 };

struct redis_map {
    struct redis_map *next; /* of all maps */
    char *url;              /* NULL: not among all maps */
    int references;
    bool is_cluster;
    struct redis_node **nodes; /* owned, each by itself: their addresses are kept by others */
    int n_nodes;
    int n_seeds; /* the first ones: the URL's */
    struct redis_node *owners[REDIS_SLOTS];
};

static struct redis_map *all_maps;

static struct redis_node *get_node(struct redis_map *m, const char *host, int port)
{
    for (int i = 0; i < m->n_nodes; i++)
        if (m->nodes[i]->port == port && strcmp(m->nodes[i]->host, host) == 0)
            return m->nodes[i];
    struct redis_node *node = xcalloc(1, sizeof *node);
    *node = (struct redis_node){xstrdup(host), port, true};
    m->nodes = xrealloc(m->nodes, (size_t)(m->n_nodes + 1) * sizeof(struct redis_node *));
    m->nodes[m->n_nodes++] = node;
    return node;
}

struct redis_map *redis_map_new(const struct redis_url *parts)
{
    struct redis_map *m = xcalloc(1, sizeof *m);
    for (int i = 0; i < parts->n_seeds; i++)
        get_node(m, parts->seeds[i].host, parts->seeds[i].port);
    m->n_seeds = m->n_nodes;
    m->references = 1;
    return m;
}

struct redis_map *redis_map_get(const char *url, const struct redis_url *parts)
{
    struct redis_map *m = all_maps;
    while (m && strcmp(m->url, url) != 0)
        m = m->next;
    if (m) {
        m->references++;
        return m;
    }
    m = redis_map_new(parts);
    m->url = xstrdup(url);
    m->next = all_maps;
    all_maps = m;
    return m;
}

void redis_map_release(struct redis_map *m)
{
    if (!m || --m->references > 0)
        return;
    struct redis_map **at = &all_maps;
    while (m->url && *at != m)
        at = &(*at)->next;
    if (m->url)
        *at = m->next;
    for (int i = 0; i < m->n_nodes; i++) {
        free(m->nodes[i]->host);
        free(m->nodes[i]);
    }
    free(m->nodes);
    free(m->url);
    free(m);
}

bool redis_map_is_cluster(const struct redis_map *m)
{
    return m->is_cluster;
}

const struct redis_node *redis_map_owner(const struct redis_map *m, int slot)
{
    assert(slot >= 0 && slot < REDIS_SLOTS);
    return m->owners[slot];
}

bool redis_map_is_owner(const struct redis_map *m, const struct redis_node *node)
{
    for (int i = 0; i < REDIS_SLOTS; i++)
        if (m->owners[i] == node)
            return true;
    return false;
}

const struct redis_node *redis_map_master(const struct redis_map *m, int i)
{
    for (int k = 0; k < m->n_nodes; k++)
        if (redis_map_is_owner(m, m->nodes[k]) && i-- == 0)
            return m->nodes[k];
    return NULL;
}

bool redis_map_is_only(const struct redis_map *m)
{
    return m->n_nodes <= 1;
}

static const struct redis_node *pick_in_turn(const struct redis_map *m, unsigned turn)
{
    unsigned listed = 0;
    for (int i = 0; i < m->n_nodes; i++)
        listed += m->nodes[i]->is_listed;
    turn = listed ? turn % listed : 0;
    for (int i = 0; i < m->n_nodes; i++)
        if (m->nodes[i]->is_listed && turn-- == 0)
            return m->nodes[i];
    return NULL;
}

const struct redis_node *redis_map_pick(const struct redis_map *m, int slot, unsigned attempt)
{
    const struct redis_node *owner = slot >= 0 ? m->owners[slot] : NULL;
    if (!owner)
        return pick_in_turn(m, attempt);
    return attempt % 2 == 0 ? owner : pick_in_turn(m, attempt / 2);
}

/* A server in a list of CLUSTER SLOTS: host, port, … No host, or "?", is the one that was asked. */
static struct redis_node *read_node(struct redis_map *m, const redisReply *server,
                                    const struct redis_node *from)
{
    if (server->type != REDIS_REPLY_ARRAY || server->elements < 2 ||
        server->element[1]->type != REDIS_REPLY_INTEGER)
        return NULL;
    const redisReply *host = server->element[0];
    bool is_told = host->type == REDIS_REPLY_STRING && host->len > 0 && strcmp(host->str, "?") != 0;
    struct redis_node *node =
        get_node(m, is_told ? host->str : from->host, (int)server->element[1]->integer);
    node->is_listed = true;
    return node;
}

/* First and last slot, the master, its replicas. */
static void read_range(struct redis_map *m, const redisReply *range, const struct redis_node *from)
{
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3)
        return;
    struct redis_node *owner = read_node(m, range->element[2], from);
    for (size_t i = 3; i < range->elements; i++)
        (void)read_node(m, range->element[i], from);
    long long first = range->element[0]->integer;
    long long last = range->element[1]->integer;
    for (long long slot = first; owner && slot >= 0 && slot <= last && slot < REDIS_SLOTS; slot++)
        m->owners[slot] = owner;
}

void redis_map_take(struct redis_map *m, const redisReply *reply, const struct redis_node *from)
{
    if (reply->type != REDIS_REPLY_ARRAY || !from)
        return;
    m->is_cluster = true;
    /* A node that has not joined yet, or forgot its slots, knows less than we do. */
    if (reply->elements == 0)
        return;
    for (int i = m->n_seeds; i < m->n_nodes; i++)
        m->nodes[i]->is_listed = false;
    for (size_t i = 0; i < reply->elements; i++)
        read_range(m, reply->element[i], from);
}

const struct redis_node *redis_map_follow(struct redis_map *m, const struct redis_redirect *to,
                                          const struct redis_node *from)
{
    const char *host = *to->host || !from ? to->host : from->host;
    struct redis_node *node = get_node(m, host, to->port);
    m->is_cluster = true;
    if (!to->is_ask)
        m->owners[to->slot] = node;
    return node;
}

/* Redirections. */

static bool parse_number(const char *s, size_t length, int max, int *out)
{
    int64_t v;
    if (str_to_i64(s, length, &v) != 0 || v < 0 || v > max)
        return false;
    *out = (int)v;
    return true;
}

bool redis_redirect_parse(const char *text, struct redis_redirect *out)
{
    *out = (struct redis_redirect){.is_ask = strncmp(text, "ASK ", 4) == 0};
    if (!out->is_ask && strncmp(text, "MOVED ", 6) != 0)
        return false;
    const char *slot = strchr(text, ' ') + 1;
    size_t slot_length = strcspn(slot, " ");
    const char *host = slot + slot_length + (slot[slot_length] == ' ');
    const char *colon = strrchr(host, ':'); /* an address of IPv6 has colons of its own */
    if (!colon || (size_t)(colon - host) >= sizeof out->host)
        return false;
    (void)snprintf(out->host, sizeof out->host, "%.*s", (int)(colon - host), host);
    return parse_number(slot, slot_length, REDIS_SLOTS - 1, &out->slot) &&
           parse_number(colon + 1, strlen(colon + 1), PORT_MAX, &out->port) && out->port > 0;
}

int redis_slot_of(const char *key, size_t length)
{
    const char *open = memchr(key, '{', length);
    const char *close = open ? memchr(open, '}', length - (size_t)(open - key)) : NULL;
    if (close && close > open + 1)
        return str_crc16(open + 1, (size_t)(close - open - 1)) % REDIS_SLOTS;
    return str_crc16(key, length) % REDIS_SLOTS;
}

void redis_redirect_count(const struct redis_redirect *to)
{
    metric_count(METRIC_OF_REDIS_REDIRECTS, to->is_ask ? "ask" : "moved");
}

void redis_redirect_log(const struct redis_redirect *to, const char *key)
{
    log_info(redis_redirected, LOG_STR("kind", to->is_ask ? "ask" : "moved"), LOG_STR("key", key),
             LOG_I64("slot", to->slot), LOG_STR("host", to->host), LOG_I64("port", to->port));
}
