/* Replies to XREAD, as bytes, into entries. */
#include "aggregator/stream/xread.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define STREAM "*1\r\n*2\r\n$12\r\nusage:events\r\n"

static struct xread reader;
static struct entries target;

static int setup(void **state)
{
    (void)state;
    xread_target(&reader, &target);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    xread_done(&reader);
    entries_done(&target);
    return 0;
}

/* Feed the bytes, at most step at a time, which are all of one reply; what xread_take says of the
 * last, or -1 as soon as it says so. */
static int feed(const char *bytes, size_t length, size_t step, struct err *e)
{
    int ended = 0;

    for (size_t at = 0; at < length && ended == 0;) {
        size_t size;
        char *room = xread_reserve(&reader, &size);
        size = size < step ? size : step;
        size = size < length - at ? size : length - at;
        memcpy(room, bytes + at, size);
        at += size;
        ended = xread_take(&reader, size, e);
        assert_true(ended != 1 || at == length);
    }
    return ended;
}

/* The same for a whole reply: 0, or -1 with e. */
static int decode(const char *bytes, size_t length, size_t step, struct err *e)
{
    int ended = feed(bytes, length, step, e);

    assert_int_not_equal(ended, 0);
    if (ended < 0)
        xread_restart(&reader);
    return e->kind == ERR_NONE ? 0 : -1;
}

static void assert_text(struct text actual, const char *expected)
{
    assert_int_equal(actual.length, strlen(expected));
    assert_memory_equal(actual.data, expected, actual.length);
}

static const char TWO_ENTRIES[] = STREAM
    "*2\r\n"
    "*2\r\n$3\r\n5-1\r\n*4\r\n$6\r\ntenant\r\n$4\r\nacme\r\n$1\r\nx\r\n$0\r\n\r\n"
    "*2\r\n$41\r\n18446744073709551615-18446744073709551615\r\n*2\r\n$1\r\na\r\n$2\r\n\r\n\r\n";

static void assert_two_entries(void)
{
    assert_int_equal(target.count, 2);
    assert_true(target.list[0].ms == 5 && target.list[0].seq == 1);
    assert_int_equal(target.list[0].fields, 4);
    assert_int_equal(target.list[0].bytes, 11);
    assert_text(entries_fields(&target, 0)[0], "tenant");
    assert_text(entries_fields(&target, 0)[1], "acme");
    assert_text(entries_fields(&target, 0)[2], "x");
    assert_text(entries_fields(&target, 0)[3], "");
    assert_true(target.list[1].ms == UINT64_MAX && target.list[1].seq == UINT64_MAX);
    assert_text(entries_fields(&target, 1)[1], "\r\n");
    assert_int_equal(target.bytes, 14);
}

static void a_reply_decodes_the_same_however_it_is_split(void **state)
{
    /* Entries do not depend on where the network cut the reply. */
    (void)state;
    for (size_t step = 1; step <= sizeof(TWO_ENTRIES); step++) {
        struct err e;
        entries_clear(&target);
        assert_int_equal(decode(TWO_ENTRIES, sizeof(TWO_ENTRIES) - 1, step, &e), 0);
        assert_two_entries();
    }
}

static void replies_append_and_texts_stay_where_they_are(void **state)
{
    /* A text handed out earlier is still the same bytes at the same place after more replies. */
    (void)state;
    struct err e;
    const char *before;

    assert_int_equal(decode(TWO_ENTRIES, sizeof(TWO_ENTRIES) - 1, 7, &e), 0);
    before = entries_fields(&target, 0)[1].data;
    for (int i = 0; i < 5000; i++)
        assert_int_equal(decode(TWO_ENTRIES, sizeof(TWO_ENTRIES) - 1, 4096, &e), 0);
    assert_int_equal(target.count, 10002);
    assert_ptr_equal(entries_fields(&target, 0)[1].data, before);
    assert_memory_equal(before, "acme", 4);
    assert_text(entries_fields(&target, 10000)[1], "acme");
}

static void nil_and_no_entries_append_nothing(void **state)
{
    /* An XREAD that timed out is a nil; both kinds of nil are no error. */
    (void)state;
    struct err e;

    assert_int_equal(decode("*-1\r\n", 5, 5, &e), 0);
    assert_int_equal(decode("$-1\r\n", 5, 1, &e), 0);
    assert_int_equal(decode(STREAM "*0\r\n", sizeof(STREAM) + 3, 3, &e), 0);
    assert_int_equal(target.count, 0);
}

static void a_deleted_entry_is_an_id_without_fields(void **state)
{
    /* Where Redis tells of an entry that was deleted, it is kept, so that it is accounted for. */
    (void)state;
    static const char bytes[] = STREAM "*2\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n"
                                       "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";
    struct err e;

    assert_int_equal(decode(bytes, sizeof(bytes) - 1, 9, &e), 0);
    assert_int_equal(target.count, 2);
    assert_int_equal(target.list[0].fields, 0);
    assert_text(entries_fields(&target, 1)[1], "b");
}

static void an_error_keeps_its_text(void **state)
{
    /* What Redis says is what the caller's err says; other plain replies are not entries. */
    (void)state;
    struct err e;

    assert_int_equal(decode("-LOADING not yet\r\n", 18, 4, &e), -1);
    assert_int_equal(e.kind, ERR_REFUSED);
    assert_string_equal(e.text, "LOADING not yet");
    assert_int_equal(decode("+OK\r\n", 5, 5, &e), -1);
    assert_int_equal(e.kind, ERR_INPUT);
    assert_int_equal(decode(":7\r\n", 4, 4, &e), -1);
    assert_non_null(strstr(e.text, ":7"));
}

static void must_not_decode(const char *bytes)
{
    struct err e = {0};

    if (decode(bytes, strlen(bytes), 5, &e) == 0)
        fail_msg("decoded: %s", bytes);
    assert_int_equal(e.kind, ERR_INPUT);
    assert_int_equal(target.count, 1); /* what was there before */
    assert_int_equal(target.strings_count, 2);
}

/* Refused at its last byte, or before. */
static void must_not_decode_into_nothing(const char *bytes)
{
    struct err e = {0};

    if (feed(bytes, strlen(bytes), 3, &e) != -1)
        fail_msg("taken: %s", bytes);
    assert_int_equal(e.kind, ERR_INPUT);
    assert_non_null(strstr(e.text, "byte "));
    assert_int_equal(target.count, 0);
    assert_int_equal(target.arena.held_bytes % (256 * 1024), 0);
    xread_restart(&reader);
}

static void odd_shapes_are_refused_whole(void **state)
{
    /* A reply that is not of XREAD's shape leaves the target as it was. */
    (void)state;
    struct err e;
    static const char good[] = STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";

    assert_int_equal(decode(good, sizeof(good) - 1, 6, &e), 0);
    must_not_decode("*0\r\n");
    must_not_decode("*1\r\n$1\r\nx\r\n");
    must_not_decode("*1\r\n*1\r\n$1\r\nx\r\n");
    must_not_decode("*1\r\n*2\r\n*0\r\n*0\r\n");
    must_not_decode("*1\r\n*2\r\n$1\r\ns\r\n$1\r\nx\r\n");
    must_not_decode("*2\r\n*2\r\n$1\r\ns\r\n*0\r\n*2\r\n$1\r\nt\r\n*0\r\n");
    must_not_decode(STREAM "*1\r\n$3\r\n1-1\r\n");
    must_not_decode(STREAM "*1\r\n:3\r\n");
    must_not_decode(STREAM "*1\r\n*-1\r\n");
    must_not_decode(STREAM "*1\r\n*1\r\n$3\r\n1-1\r\n");
    must_not_decode(STREAM "*1\r\n*2\r\n$-1\r\n*0\r\n");
    must_not_decode(STREAM "*1\r\n*2\r\n*0\r\n$3\r\n1-1\r\n");
    must_not_decode(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n$1\r\na\r\n");
    must_not_decode(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\na\r\n");
    must_not_decode(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n:5\r\n");
    must_not_decode(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n");
    must_not_decode(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n-ERR no\r\n");
}

static void odd_ids_are_refused(void **state)
{
    /* An id is two 64-bit numbers with a hyphen between them, nothing around it. */
    (void)state;
    static const char *const ids[] = {"",
                                      "-",
                                      "1",
                                      "1-",
                                      "-1",
                                      "1-1 ",
                                      "a-1",
                                      "1-a",
                                      "1_1",
                                      "+1-1",
                                      "1--1",
                                      "1-1-1",
                                      "18446744073709551616-0"};
    struct err e;

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char *bytes = xasprintf(STREAM "*1\r\n*2\r\n$%zu\r\n%s\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
                                strlen(ids[i]), ids[i]);
        assert_int_equal(decode(bytes, strlen(bytes), 64, &e), -1);
        assert_int_equal(target.count, 0);
        free(bytes);
    }
}

static void an_id_is_judged_by_each_byte(void **state)
{
    /* Any byte at any place: a digit makes the number that it says, all else is no id. */
    (void)state;
    static const char good[] = "1763722812345-18446744073709551615";
    struct err e;

    for (size_t at = 0; at < 13; at++)
        for (int byte = 1; byte < 256; byte++) {
            char id[sizeof(good)];
            char *bytes;
            memcpy(id, good, sizeof(good));
            id[at] = (char)byte;
            bytes = xasprintf(STREAM "*1\r\n*2\r\n$34\r\n%s\r\n*0\r\n", id);
            bool wanted = byte >= '0' && byte <= '9';
            assert_int_equal(decode(bytes, strlen(bytes), 4096, &e), wanted ? 0 : -1);
            assert_int_equal(target.count, wanted);
            if (wanted)
                assert_true(target.list[0].ms == strtoull(id, NULL, 10) &&
                            target.list[0].seq == UINT64_MAX);
            entries_clear(&target);
            free(bytes);
        }
}

static void a_reply_that_breaks_off_leaves_nothing(void **state)
{
    /* A connection lost in the middle of a reply takes back the entries that had come. */
    (void)state;
    struct err e;

    for (size_t length = 1; length < sizeof(TWO_ENTRIES) - 1; length++) {
        assert_int_equal(feed(TWO_ENTRIES, length, 7, &e), 0);
        xread_restart(&reader);
        assert_int_equal(target.count, 0);
        assert_int_equal(target.bytes, 0);
    }
    assert_int_equal(decode(TWO_ENTRIES, sizeof(TWO_ENTRIES) - 1, 7, &e), 0);
    assert_two_entries();
}

static void replies_that_come_together_are_told_apart(void **state)
{
    /* Several replies in one piece, and the start of another: one after the other. */
    (void)state;
    static const char bytes[] = "*-1\r\n" STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n"
                                "$1\r\nb\r\n-MOVED 1 a:2\r\n*-";
    struct err e;
    size_t size;

    memcpy(xread_reserve(&reader, &size), bytes, sizeof(bytes) - 1);
    assert_int_equal(xread_take(&reader, sizeof(bytes) - 1, &e), 1);
    assert_int_equal(target.count, 0);
    assert_int_equal(xread_take(&reader, 0, &e), 1);
    assert_int_equal(e.kind, ERR_NONE);
    assert_int_equal(target.count, 1);
    assert_int_equal(xread_take(&reader, 0, &e), 1);
    assert_int_equal(e.kind, ERR_REFUSED);
    assert_string_equal(e.text, "MOVED 1 a:2");
    assert_int_equal(xread_take(&reader, 0, &e), 0);
    assert_int_equal(feed("1\r\n", 3, 3, &e), 1);
    assert_int_equal(e.kind, ERR_NONE);
    assert_int_equal(target.count, 1);
}

static void entries_without_a_target_are_refused(void **state)
{
    /* Nobody asked for them; a nil and an error need no target. */
    (void)state;
    struct err e;

    xread_target(&reader, NULL);
    assert_int_equal(decode("*-1\r\n", 5, 5, &e), 0);
    assert_int_equal(decode("-ERR no\r\n", 9, 2, &e), -1);
    assert_int_equal(e.kind, ERR_REFUSED);
    assert_int_equal(decode(TWO_ENTRIES, sizeof(TWO_ENTRIES) - 1, 3, &e), -1);
    assert_int_equal(e.kind, ERR_INPUT);
}

static void a_target_cleared_meanwhile_takes_nothing(void **state)
{
    /* Wherever a reply is when its target is cleared, its rest is not mistaken for a whole. */
    (void)state;
    struct err e;

    for (size_t at = 4; at < sizeof(TWO_ENTRIES) - 1; at++) {
        assert_int_equal(feed(TWO_ENTRIES, at, at, &e), 0);
        entries_clear(&target);
        assert_int_equal(feed(TWO_ENTRIES + at, sizeof(TWO_ENTRIES) - 1 - at, 1, &e), -1);
        xread_restart(&reader);
        assert_int_equal(target.count, 0);
        assert_int_equal(target.strings_count, 0);
        assert_int_equal(decode(TWO_ENTRIES, sizeof(TWO_ENTRIES) - 1, 9, &e), 0);
        assert_two_entries();
        entries_clear(&target);
    }
}

static void a_large_body_survives_a_cleared_target(void **state)
{
    /* Its place in the entries is gone: no byte is written there any more. */
    (void)state;
    static const char head[] = STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$300000\r\n";
    char body[1000] = {0};
    struct err e;

    assert_int_equal(feed(head, sizeof(head) - 1, 4096, &e), 0);
    assert_int_equal(feed(body, sizeof(body), 100, &e), 0);
    entries_done(&target);
    assert_int_equal(feed(body, sizeof(body), 100, &e), -1);
    xread_restart(&reader);
    assert_int_equal(decode(TWO_ENTRIES, sizeof(TWO_ENTRIES) - 1, 64, &e), 0);
    assert_two_entries();
}

static void a_new_target_is_for_the_next_reply(void **state)
{
    /* A reply that has begun ends in the entries where it began. */
    (void)state;
    struct err e;

    for (size_t at = 4; at < sizeof(TWO_ENTRIES) - 1; at++) {
        struct entries other = {0};
        xread_target(&reader, &target);
        assert_int_equal(feed(TWO_ENTRIES, at, at, &e), 0);
        xread_target(&reader, &other);
        assert_int_equal(feed(TWO_ENTRIES + at, sizeof(TWO_ENTRIES) - 1 - at, 5, &e), 1);
        assert_two_entries();
        assert_int_equal(other.count, 0);
        assert_int_equal(decode(TWO_ENTRIES, sizeof(TWO_ENTRIES) - 1, 5, &e), 0);
        assert_int_equal(other.count, 2);
        entries_clear(&target);
        entries_done(&other);
    }
}

static void absurd_numbers_are_refused_at_once(void **state)
{
    /* A length or a count that no entry can have is told, and takes no memory. */
    (void)state;
    must_not_decode_into_nothing("*10\r\n");
    must_not_decode_into_nothing("*99999999999999999999\r\n");
    must_not_decode_into_nothing(STREAM "*1073741825\r\n");
    must_not_decode_into_nothing(STREAM "*-2\r\n");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$20000\r\n");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*1073741826\r\n");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1073741825\r\n");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$-5\r\n");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$\r\n");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\n\na");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nab\r\n");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n_\r\n");
    must_not_decode_into_nothing(STREAM "*1\r\n*2\r\n$-1\r\n");
}

static void large_strings_are_kept_whole(void **state)
{
    /* A value larger than any chunk of memory comes out as it went in. */
    (void)state;
    struct buf bytes = {0};
    struct err e;
    size_t size = 3 * 1024 * 1024;

    buf_printf(&bytes, STREAM "*1\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\na\r\n$%zu\r\n", size);
    for (size_t i = 0; i < size; i++)
        buf_add_char(&bytes, (char)('a' + i % 26));
    buf_add_str(&bytes, "\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_int_equal(decode(bytes.data, bytes.length, 100000, &e), 0);
    assert_int_equal(entries_fields(&target, 0)[1].length, size);
    assert_int_equal(entries_fields(&target, 0)[1].data[size - 1], (char)('a' + (size - 1) % 26));
    assert_text(entries_fields(&target, 0)[3], "c");
    entries_clear(&target);
    assert_int_equal(target.arena.held_bytes % (256 * 1024), 0); /* only usual chunks are kept */
    buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reply_decodes_the_same_however_it_is_split, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(replies_append_and_texts_stay_where_they_are, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nil_and_no_entries_append_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deleted_entry_is_an_id_without_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_keeps_its_text, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_shapes_are_refused_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_ids_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_id_is_judged_by_each_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reply_that_breaks_off_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_that_come_together_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_without_a_target_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_target_cleared_meanwhile_takes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_body_survives_a_cleared_target, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_target_is_for_the_next_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(absurd_numbers_are_refused_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(large_strings_are_kept_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
