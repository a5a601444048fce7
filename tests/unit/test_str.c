/* Memory, text that grows, checks on text from outside, UUIDs. */
#include "common/str.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A text with its length, as it may hold NUL. */
struct text {
    const char *bytes;
    size_t length;
};
#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof literal - 1                                                                \
    }

typedef bool (*check_fn)(const char *s, size_t length);

/* On a copy without a NUL behind it, so that the sanitizer sees a read past the end. */
static bool holds(check_fn check, struct text t)
{
    char *copy = malloc(t.length ? t.length : 1);
    memcpy(copy, t.bytes, t.length);
    bool answer = check(copy, t.length);
    free(copy);
    return answer;
}

static void expect_all(check_fn check, bool expected, const struct text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (holds(check, texts[i]) != expected)
            fail_msg("case %zu: %s", i, texts[i].bytes);
}
#define EXPECT_ALL(check, expected, texts)                                                         \
    expect_all(check, expected, texts, sizeof(texts) / sizeof *(texts))

static void utf8_is_recognised(void **state)
{
    /* Well-formed UTF-8 without NUL is taken, anything else is not. */
    (void)state;
    static const struct text good[] = {
        TEXT(""),
        TEXT("a"),
        TEXT("12345678"),
        TEXT("\x01\x7f"),
        TEXT("größe"),
        TEXT("计量 💶 twelve"),
        TEXT("\xc2\x80"),
        TEXT("\xdf\xbf"),
        TEXT("\xe0\xa0\x80"),
        TEXT("\xed\x9f\xbf"),
        TEXT("\xee\x80\x80"),
        TEXT("\xef\xbf\xbf"),
        TEXT("\xf0\x90\x80\x80"),
        TEXT("\xf4\x8f\xbf\xbf"),
    };
    static const struct text bad[] = {
        TEXT("\0"),
        TEXT("1234567\0"),
        TEXT("12345678\0"),
        TEXT("\x80"),
        TEXT("\xbf"),
        TEXT("\xc0\x80"),
        TEXT("\xc1\xbf"),
        TEXT("\xc3"),
        TEXT("\xc3("),
        TEXT("\xe0\x9f\xbf"),
        TEXT("\xed\xa0\x80"),
        TEXT("\xed\xbf\xbf"),
        TEXT("\xe2\x82"),
        TEXT("\xe2\x28\xa1"),
        TEXT("\xf0\x8f\xbf\xbf"),
        TEXT("\xf4\x90\x80\x80"),
        TEXT("\xf5\x80\x80\x80"),
        TEXT("\xf0\x9f\x92"),
        TEXT("\xff"),
        TEXT("\xfe\xff"),
        TEXT("12345678\xff"
             "12345678"),
    };
    EXPECT_ALL(str_is_utf8, true, good);
    EXPECT_ALL(str_is_utf8, false, bad);
}

static void a_bad_byte_is_found_anywhere(void **state)
{
    /* One bad byte is seen wherever it stands, in whole words of ASCII and behind them. */
    (void)state;
    static const char bad[] = {'\0', '\x80', '\xff'};
    for (size_t length = 1; length <= 40; length++) {
        char text[40];
        memset(text, 'x', sizeof text);
        assert_true(holds(str_is_utf8, (struct text){text, length}));
        for (size_t i = 0; i < length * sizeof bad; i++) {
            text[i / sizeof bad] = bad[i % sizeof bad];
            assert_false(holds(str_is_utf8, (struct text){text, length}));
            text[i / sizeof bad] = 'x';
        }
    }
}

static void utf8_has_as_many_characters_as_unicode(void **state)
{
    /* Of all two and three byte sequences just 1,920 and 61,440 are characters, and of all four
     * byte ones 1,048,576, a 64th of which has the last byte 80. */
    (void)state;
    unsigned found[5] = {0};
    for (unsigned i = 0; i < 1U << 24; i++) {
        const char text[] = {(char)(i >> 16), (char)(i >> 8), (char)i, '\x80'};
        found[str_utf8_char(text, 4)]++;
    }
    assert_int_equal(found[2], 1920 << 8); /* followed by any byte */
    assert_int_equal(found[3], 61440);
    assert_int_equal(found[4], 1048576 / 64);
}

static void control_characters_are_found(void **state)
{
    /* Bytes below 0x20 and 0x7f are control characters, and so are U+0080 to U+009F; no other is.
     */
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char text[] = {'a', (char)byte, 'b'};
        assert_int_equal(str_has_control(text, 3), byte < 0x20 || byte == 0x7f);
        for (int first = 0x80; first < 256; first++) {
            const char pair[] = {'a', (char)first, (char)byte};
            assert_int_equal(str_has_control(pair, 3),
                             byte < 0x20 || byte == 0x7f ||
                                 (first == 0xc2 && byte >= 0x80 && byte < 0xa0));
        }
    }
    assert_false(str_has_control("\xc2", 1));
    assert_false(str_has_control("", 0));
    assert_false(str_has_control("a\n", 1));
}

static void names_of_metrics(void **state)
{
    /* A name has 1 to 64 of a-z, 0-9 and underscore. */
    (void)state;
    static const struct text good[] = {
        TEXT("a"),
        TEXT("_"),
        TEXT("9"),
        TEXT("llm_tokens"),
        TEXT("abcdefghijklmnopqrstuvwxyz0123456789_abcdefghijklmnopqrstuvwxyz0"),
    };
    static const struct text bad[] = {
        TEXT(""),    TEXT("A"),
        TEXT("a-b"), TEXT("a b"),
        TEXT("a\0"), TEXT("größe"),
        TEXT("a."),  TEXT("`"),
        TEXT("{"),   TEXT("/"),
        TEXT(":"),   TEXT("abcdefghijklmnopqrstuvwxyz0123456789_abcdefghijklmnopqrstuvwxyz01"),
    };
    EXPECT_ALL(str_is_name, true, good);
    EXPECT_ALL(str_is_name, false, bad);
}

static void integers(void **state)
{
    /* A whole decimal integer that fits 64 bits is taken, with nothing around it. */
    (void)state;
    static const struct {
        struct text text;
        int64_t value;
    } good[] = {
        {TEXT("0"), 0},
        {TEXT("-0"), 0},
        {TEXT("7"), 7},
        {TEXT("-42"), -42},
        {TEXT("0010"), 10},
        {TEXT("9223372036854775807"), INT64_MAX},
        {TEXT("-9223372036854775808"), INT64_MIN},
        {TEXT("00000000000000000000000001"), 1},
    };
    static const struct text bad[] = {
        TEXT(""),
        TEXT("-"),
        TEXT("+1"),
        TEXT(" 1"),
        TEXT("1 "),
        TEXT("1.0"),
        TEXT("0x1"),
        TEXT("--1"),
        TEXT("1-"),
        TEXT("1\0"),
        TEXT("1e2"),
        TEXT("9223372036854775808"),
        TEXT("-9223372036854775809"),
        TEXT("99999999999999999999"),
        TEXT("a"),
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t value;
        assert_int_equal(str_to_i64(good[i].text.bytes, good[i].text.length, &value), 0);
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 4711;
        if (str_to_i64(bad[i].bytes, bad[i].length, &value) == 0)
            fail_msg("taken: %s", bad[i].bytes);
        assert_int_equal(value, 4711);
    }
}

static void crc16_as_redis_has_it(void **state)
{
    /* The sum is Redis Cluster's: its published check value, and slots as CLUSTER KEYSLOT gives
     * them. */
    (void)state;
    assert_int_equal(str_crc16("123456789", 9), 0x31c3);
    assert_int_equal(str_crc16("", 0), 0);
    assert_int_equal(str_crc16("foo", 3) % 16384, 12182);
    assert_int_equal(str_crc16("\xff\x00\x80", 3), 0x5eeb);
    assert_int_equal(str_crc16("tenant_42", 9), 0x9a57);
}

static void passwords_are_masked(void **state)
{
    /* Whatever may be a password does not show; the rest of the URL does. */
    (void)state;
    static const char *const cases[][2] = {
        {"redis://127.0.0.1:6379", "redis://127.0.0.1:6379"},
        {"redis://:secret@host:6379/0", "redis://:***@host:6379/0"},
        {"redis://user:secret@host", "redis://user:***@host"},
        {"redis://user@host:6379", "redis://user@host:6379"},
        {"redis://user:@host", "redis://user:***@host"},
        {"postgresql://u:p%40ss@h:5432/db", "postgresql://u:***@h:5432/db"},
        {"postgresql://u:p@ss@h/db", "postgresql://u:***@h/db"},
        {"postgresql://u:p/a?s#s@h/db", "postgresql://u:***@h/db"},
        {"postgresql://u:p:q@[::1]:5432/db", "postgresql://u:***@[::1]:5432/db"},
        {"postgresql://h/db?user=u&password=secret&sslmode=require",
         "postgresql://h/db?user=u&password=***&sslmode=require"},
        {"postgresql://u:one@h/db?sslpassword=two", "postgresql://u:***@h/db?sslpassword=***"},
        {"host=h password=secret dbname=d", "host=h password=*** dbname=d"},
        {"host=h PASSWORD = secret", "host=h PASSWORD = ***"},
        {"password='a \\' b' host=h", "password=***"},
        {"password=one sslpassword=two x=y", "password=*** sslpassword=*** x=y"},
        {"user=u passwordless", "user=u passwordless"},
        {"unix:///run/redis.sock", "unix:///run/redis.sock"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *masked = str_mask_url(cases[i][0]);
        assert_string_equal(masked, cases[i][1]);
        free(masked);
    }
}

static void memory_is_never_null(void **state)
{
    /* The allocators give memory also for no bytes at all, and copies that are the caller's. */
    (void)state;
    void *nothing = xmalloc(0);
    assert_non_null(nothing);
    nothing = xrealloc(nothing, 0);
    assert_non_null(nothing);
    free(nothing);
    void *none = xcalloc(0, 8);
    assert_non_null(none);
    free(none);
    int *zeros = xcalloc(2, sizeof *zeros);
    assert_int_equal(zeros[0] + zeros[1], 0);
    free(zeros);
    char *texts[] = {xstrdup("abc"), xstrndup("abcdef", 3), xasprintf("%s%c", "ab", 'c')};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(texts[i], "abc");
        free(texts[i]);
    }
}

static void running_out_of_memory_ends_the_process(void **state)
{
    /* An allocation that fails never returns. */
    (void)state;
    volatile size_t too_much = SIZE_MAX / 4;
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDERR_FILENO);
        free(xmalloc(too_much));
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_not_equal(status, 0);
}

static void a_buffer_grows(void **state)
{
    /* What is added stays, in order, with a NUL behind it, however much it is. */
    (void)state;
    struct buf b = {0};
    assert_null(b.data);
    for (size_t i = 0; i < 10000; i++) {
        buf_add_char(&b, (char)('a' + i % 26));
        assert_int_equal(b.length, i + 1);
        assert_int_equal(b.data[b.length], '\0');
    }
    for (size_t i = 0; i < b.length; i++)
        assert_int_equal(b.data[i], 'a' + (int)(i % 26));
    buf_done(&b);
    assert_null(b.data);
    assert_int_equal(b.length + b.capacity, 0);
}

static void a_buffer_takes_every_kind(void **state)
{
    /* Bytes, texts, formats and big-endian integers are appended as they are. */
    (void)state;
    struct buf b = {0};
    buf_add(&b, NULL, 0);
    assert_string_equal(b.data, "");
    buf_add_str(&b, "ab");
    buf_printf(&b, "[%d]", 42);
    buf_add(&b, "\0x", 2);
    buf_add_u16be(&b, 0x0102);
    buf_add_u32be(&b, 0x03040506);
    buf_add_u64be(&b, 0x0708090a0b0c0d0e);
    static const char expected[] =
        "ab[42]\0x\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e";
    assert_int_equal(b.length, sizeof expected - 1);
    assert_memory_equal(b.data, expected, sizeof expected);
    buf_done(&b);
}

static void a_long_format_fits(void **state)
{
    /* A formatted text may be far longer than the buffer was. */
    (void)state;
    struct buf b = {0};
    buf_add_str(&b, "x");
    buf_printf(&b, "%5000d|", 7);
    assert_int_equal(b.length, 5002);
    assert_int_equal(strlen(b.data), 5002);
    assert_string_equal(b.data + 4998, "  7|");
    buf_done(&b);
}

static void a_buffer_is_cleared_and_taken(void **state)
{
    /* Clearing keeps the memory; taking hands it over, and an empty buffer gives an empty text. */
    (void)state;
    struct buf b = {0};
    buf_clear(&b);
    assert_null(b.data);
    buf_add_str(&b, "abc");
    size_t capacity = b.capacity;
    buf_clear(&b);
    assert_string_equal(b.data, "");
    assert_int_equal(b.capacity, capacity);
    buf_add_str(&b, "def");
    char *text = buf_take(&b);
    assert_string_equal(text, "def");
    free(text);
    assert_null(b.data);
    text = buf_take(&b);
    assert_string_equal(text, "");
    free(text);
}

static void reserving_avoids_moves(void **state)
{
    /* After a reserve that many bytes are added without moving the text. */
    (void)state;
    struct buf b = {0};
    buf_reserve(&b, 1000);
    const char *before = b.data;
    for (int i = 0; i < 1000; i++)
        buf_add_char(&b, 'x');
    assert_ptr_equal(b.data, before);
    assert_int_equal(b.capacity, 1001);
    buf_done(&b);
}

typedef void (*encode_fn)(struct buf *b, const char *s, size_t length);

static void must_encode(encode_fn encode, struct text t, const char *expected)
{
    struct buf b = {0};
    buf_add_char(&b, '>');
    encode(&b, t.bytes, t.length);
    assert_string_equal(b.data + 1, expected);
    assert_int_equal(b.length, strlen(expected) + 1);
    buf_done(&b);
}

static void form_encoding(void **state)
{
    /* Unreserved characters stay, every other byte becomes %XX. */
    (void)state;
    must_encode(buf_add_urlencoded, (struct text)TEXT(""), "");
    must_encode(buf_add_urlencoded, (struct text)TEXT("AZaz09-_.~"), "AZaz09-_.~");
    must_encode(buf_add_urlencoded, (struct text)TEXT("a b+c&d=e"), "a%20b%2Bc%26d%3De");
    must_encode(buf_add_urlencoded, (struct text)TEXT("payload[value]"), "payload%5Bvalue%5D");
    must_encode(buf_add_urlencoded, (struct text)TEXT("\0\xff%/é"), "%00%FF%25%2F%C3%A9");
}

static void json_strings(void **state)
{
    /* Quotes, backslashes and control characters are escaped, all else stays. */
    (void)state;
    must_encode(buf_add_json_str, (struct text)TEXT(""), "\"\"");
    must_encode(buf_add_json_str, (struct text)TEXT("größe 💶 /"), "\"größe 💶 /\"");
    must_encode(buf_add_json_str, (struct text)TEXT("a\"b\\c"), "\"a\\\"b\\\\c\"");
    must_encode(buf_add_json_str, (struct text)TEXT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    must_encode(buf_add_json_str, (struct text)TEXT("\0\x01\x1f\x7f"),
                "\"\\u0000\\u0001\\u001f\x7f\"");
}

static void add_base64(struct buf *b, const char *s, size_t length)
{
    buf_add_base64(b, s, length);
}

static void base64(void **state)
{
    /* The examples of RFC 4648, and the two last letters of the alphabet. */
    (void)state;
    must_encode(add_base64, (struct text)TEXT(""), "");
    must_encode(add_base64, (struct text)TEXT("f"), "Zg==");
    must_encode(add_base64, (struct text)TEXT("fo"), "Zm8=");
    must_encode(add_base64, (struct text)TEXT("foo"), "Zm9v");
    must_encode(add_base64, (struct text)TEXT("foob"), "Zm9vYg==");
    must_encode(add_base64, (struct text)TEXT("fooba"), "Zm9vYmE=");
    must_encode(add_base64, (struct text)TEXT("foobar"), "Zm9vYmFy");
    must_encode(add_base64, (struct text)TEXT("\xfb\xff\xfe"), "+//+");
}

static void uuids_carry_their_time(void **state)
{
    /* A fresh UUID has version 7, the variant of RFC 9562 and its milliseconds in front. */
    (void)state;
    char text[UUID_TEXT_SIZE];
    unsigned char bytes[16];
    uuid_v7(0x017F22E279B0, text); /* the example of RFC 9562, A.6 */
    assert_memory_equal(text, "017f22e2-79b0-7", 15);
    assert_int_equal(strlen(text), 36);
    assert_int_equal(uuid_parse(text, 36, bytes), 0);
    assert_int_equal(bytes[6] >> 4, 7);
    assert_int_equal(bytes[8] >> 6, 2);
}

static void uuids_of_one_time_differ(void **state)
{
    /* Two UUIDs of the same millisecond differ, and a later one sorts behind. */
    (void)state;
    char first[UUID_TEXT_SIZE];
    char second[UUID_TEXT_SIZE];
    uuid_v7(1795243270920, first);
    uuid_v7(1795243270920, second);
    assert_string_not_equal(first, second);
    uuid_v7(1795243270921, second);
    assert_true(strcmp(first, second) < 0);
}

static void uuid_text(void **state)
{
    /* Only the 36 characters in lower case are a UUID, and they come back to the letter. */
    (void)state;
    static const char good[] = "01234567-89ab-cdef-0123-456789abcdef";
    static const struct text bad[] = {
        TEXT(""),
        TEXT("01234567-89AB-cdef-0123-456789abcdef"),
        TEXT("0123456789abcdef0123456789abcdef"),
        TEXT("01234567-89ab-cdef-0123-456789abcde"),
        TEXT("01234567-89ab-cdef-0123-456789abcdef0"),
        TEXT("01234567-89ab-cdef-0123-456789abcdeg"),
        TEXT("0123456-789ab-cdef-0123-456789abcdef"),
        TEXT("01234567089ab-cdef-0123-456789abcdef"),
        TEXT("01234567-89ab-cdef-0123-456789abcd-f"),
        TEXT("{1234567-89ab-cdef-0123-456789abcde}"),
        TEXT("01234567-89ab-cdef-0123-456789abcde\0"),
    };
    unsigned char bytes[16];
    char text[UUID_TEXT_SIZE];
    assert_int_equal(uuid_parse(good, 36, bytes), 0);
    assert_memory_equal(bytes, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef",
                        16);
    uuid_format(bytes, text);
    assert_string_equal(text, good);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (uuid_parse(bad[i].bytes, bad[i].length, bytes) == 0)
            fail_msg("taken: %s", bad[i].bytes);
}

static void a_uuid_is_judged_by_each_byte(void **state)
{
    /* Any byte at any place: taken where it is a hyphen or a digit that belongs there, and then
     * written back to the letter. */
    (void)state;
    static const char good[] = "01234567-89ab-cdef-fedc-ba9876543210";
    for (size_t at = 0; at < sizeof good - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            char text[sizeof good];
            char again[UUID_TEXT_SIZE];
            unsigned char bytes[16];
            memcpy(text, good, sizeof good);
            text[at] = (char)byte;
            bool wanted = good[at] == '-' ? byte == '-'
                                          : byte != 0 && strchr("0123456789abcdef", byte) != NULL;
            assert_true((uuid_parse(text, 36, bytes) == 0) == wanted);
            if (!wanted)
                continue;
            uuid_format(bytes, again);
            assert_string_equal(again, text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_recognised),
        cmocka_unit_test(a_bad_byte_is_found_anywhere),
        cmocka_unit_test(utf8_has_as_many_characters_as_unicode),
        cmocka_unit_test(control_characters_are_found),
        cmocka_unit_test(names_of_metrics),
        cmocka_unit_test(integers),
        cmocka_unit_test(crc16_as_redis_has_it),
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(memory_is_never_null),
        cmocka_unit_test(running_out_of_memory_ends_the_process),
        cmocka_unit_test(a_buffer_grows),
        cmocka_unit_test(a_buffer_takes_every_kind),
        cmocka_unit_test(a_long_format_fits),
        cmocka_unit_test(a_buffer_is_cleared_and_taken),
        cmocka_unit_test(reserving_avoids_moves),
        cmocka_unit_test(form_encoding),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(base64),
        cmocka_unit_test(uuids_carry_their_time),
        cmocka_unit_test(uuids_of_one_time_differ),
        cmocka_unit_test(uuid_text),
        cmocka_unit_test(a_uuid_is_judged_by_each_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
