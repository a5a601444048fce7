/* Where a key of a Redis Cluster is: redirections, slots, and the map that is learned from both. */
#include "common/redis/redis_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void must_redirect(const char *text, bool is_ask, int slot, const char *host, int port)
{
    struct redis_redirect to;
    if (!redis_redirect_parse(text, &to))
        fail_msg("%s", text);
    assert_int_equal(to.is_ask, is_ask);
    assert_int_equal(to.slot, slot);
    assert_string_equal(to.host, host);
    assert_int_equal(to.port, port);
}

static void must_not_redirect(const char *text)
{
    struct redis_redirect to;
    if (redis_redirect_parse(text, &to))
        fail_msg("%s", text);
}

static void redirections_are_read(void **state)
{
    (void)state;
    must_redirect("MOVED 3999 127.0.0.1:6381", false, 3999, "127.0.0.1", 6381);
    must_redirect("ASK 0 cache-2.example:1", true, 0, "cache-2.example", 1);
    must_redirect("MOVED 16383 2001:db8::1:65535", false, 16383, "2001:db8::1", 65535);
    must_redirect("MOVED 1 :6381", false, 1, "", 6381);
}

static void other_errors_are_none(void **state)
{
    (void)state;
    must_not_redirect("");
    must_not_redirect("MOVED");
    must_not_redirect("MOVED ");
    must_not_redirect("MOVED 3999");
    must_not_redirect("MOVED 16384 127.0.0.1:6381");
    must_not_redirect("MOVED -1 127.0.0.1:6381");
    must_not_redirect("MOVED x 127.0.0.1:6381");
    must_not_redirect("MOVED 1 127.0.0.1");
    must_not_redirect("MOVED 1 127.0.0.1:");
    must_not_redirect("MOVED 1 127.0.0.1:0");
    must_not_redirect("MOVED 1 127.0.0.1:65536");
    must_not_redirect("ASKING 1 127.0.0.1:6381");
    must_not_redirect("CLUSTERDOWN The cluster is down");
    char longest[600] = "MOVED 1 ";
    memset(longest + 8, 'h', 400);
    strcpy(longest + 408, ":1");
    must_not_redirect(longest);
}

static int slot_of(const char *key)
{
    return redis_slot_of(key, strlen(key));
}

static void the_slot_is_of_the_hash_tag(void **state)
{
    /* The numbers are those of CLUSTER KEYSLOT. */
    (void)state;
    assert_int_equal(slot_of("123456789"), 12739);
    assert_int_equal(slot_of("usage:events"), 10478);
    assert_int_equal(slot_of("usage:events:{0}"), slot_of("0"));
    assert_int_equal(slot_of("{user1000}.following"), slot_of("user1000"));
    assert_int_equal(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    assert_int_equal(slot_of("foo{bar}{zap}"), slot_of("bar"));
    assert_int_equal(slot_of("foo{}{bar}"), 8363);
    assert_int_equal(slot_of(""), 0);
}

static struct redis_map *open_map(const char *url)
{
    struct redis_url parts;
    struct err e;
    assert_int_equal(redis_url_parse(url, &parts, &e), 0);
    struct redis_map *m = redis_map_get(url, &parts);
    redis_url_done(&parts);
    return m;
}

/* The reply to CLUSTER SLOTS as Redis 7 sends it, read by hiredis' own reader. */
static void take(struct redis_map *m, const char *bytes)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redis_map_take(m, reply, redis_map_pick(m, -1, 0));
    freeReplyObject(reply);
    redisReaderFree(reader);
}

#define NODE(host, port) "*4\r\n" host ":" port "\r\n$2\r\nid\r\n*0\r\n"
#define HOST(text)       "$1\r\n" text "\r\n"

static void must_own(const struct redis_map *m, int slot, const char *host, int port)
{
    const struct redis_node *owner = redis_map_owner(m, slot);
    assert_non_null(owner);
    assert_string_equal(owner->host, host);
    assert_int_equal(owner->port, port);
}

static void the_map_is_learned(void **state)
{
    (void)state;
    struct redis_map *m = open_map("redis://a:1");
    assert_false(redis_map_is_cluster(m));
    assert_null(redis_map_owner(m, 7));
    take(m, "-ERR This instance has cluster support disabled\r\n");
    assert_false(redis_map_is_cluster(m));
    assert_true(redis_map_is_only(m));
    /* The first range is of the node that was asked, which names no host; b has a replica, c. */
    take(m, "*2\r\n*3\r\n:0\r\n:99\r\n" NODE("$-1\r\n", "1") "*4\r\n:100\r\n:16383\r\n" NODE(
                HOST("b"), "2") NODE(HOST("c"), "3"));
    assert_true(redis_map_is_cluster(m));
    must_own(m, 0, "a", 1);
    must_own(m, 99, "a", 1);
    must_own(m, 100, "b", 2);
    must_own(m, 16383, "b", 2);
    assert_null(redis_map_master(m, 2));
    /* What is no list, or an empty one, says nothing. */
    take(m, "*0\r\n");
    must_own(m, 100, "b", 2);
    redis_map_release(m);
}

static void a_redirection_changes_the_map_only_if_it_is_moved(void **state)
{
    (void)state;
    struct redis_map *m = open_map("redis://a:1");
    const struct redis_node *a = redis_map_pick(m, -1, 0);
    struct redis_redirect to = {.slot = 5, .host = "b", .port = 2, .is_ask = true};
    const struct redis_node *b = redis_map_follow(m, &to, a);
    assert_string_equal(b->host, "b");
    assert_null(redis_map_owner(m, 5));
    to.is_ask = false;
    assert_ptr_equal(redis_map_follow(m, &to, a), b);
    must_own(m, 5, "b", 2);
    /* Without a host it is another port of the one that answered. */
    to = (struct redis_redirect){.slot = 6, .port = 9};
    redis_map_follow(m, &to, a);
    must_own(m, 6, "a", 9);
    redis_map_release(m);
}

static void each_node_is_tried_in_turn(void **state)
{
    /* The owner first; should it be dead, those in between know who took over. */
    (void)state;
    struct redis_map *m = open_map("redis://a:1,b:2");
    struct redis_redirect to = {.slot = 5, .host = "c", .port = 3};
    assert_string_equal(redis_map_pick(m, 5, 0)->host, "a");
    assert_string_equal(redis_map_pick(m, 5, 1)->host, "b");
    redis_map_follow(m, &to, NULL);
    const char *const hosts[] = {"c", "a", "c", "b", "c", "c", "c", "a"};
    for (unsigned i = 0; i < sizeof hosts / sizeof *hosts; i++)
        assert_string_equal(redis_map_pick(m, 5, i)->host, hosts[i]);
    redis_map_release(m);
}

static void connections_to_one_url_share_a_map(void **state)
{
    (void)state;
    struct redis_map *one = open_map("redis://a:1");
    struct redis_map *other = open_map("redis://a:2");
    assert_ptr_equal(open_map("redis://a:1"), one);
    assert_ptr_not_equal(one, other);
    redis_map_release(one);
    redis_map_release(one);
    redis_map_release(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirections_are_read),
        cmocka_unit_test(other_errors_are_none),
        cmocka_unit_test(the_slot_is_of_the_hash_tag),
        cmocka_unit_test(the_map_is_learned),
        cmocka_unit_test(a_redirection_changes_the_map_only_if_it_is_moved),
        cmocka_unit_test(each_node_is_tried_in_turn),
        cmocka_unit_test(connections_to_one_url_share_a_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
