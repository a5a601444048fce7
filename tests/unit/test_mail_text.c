/* Mail: nothing from outside leaves its place, and every reader understands it. Whole mails are
 * read back by Python's parser in tests/e2e/test_mail.py. */
#include "notifier/mail/mail_kinds.h"
#include "notifier/mail/mail_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "msg_0123456789abcdef"

static char *compose(const char *kind, const char *tenant, const char *data, const char *from)
{
    union {
        const char *in;
        char *out;
    } id = {ID}, k = {kind}, t = {tenant}, d = {data}, to = {"ops@acme.example"};
    const struct message m = {
        .id = id.out, .kind = k.out, .tenant = t.out, .data = d.out, .destination = to.out};
    struct buf out = {0};
    mail_compose(&m, from, 1700000000000, &out);
    assert_true(str_is_utf8(out.data, out.length));
    return buf_take(&out);
}

static void must_have(const char *mail, const char *line)
{
    if (!strstr(mail, line))
        fail_msg("no \"%s\" in:\n%s", line, mail);
}

static void it_has_the_header_that_mail_needs(void **state)
{
    (void)state;
    char *mail = compose("payment_failed", "acme",
                         "{\"amount_minor\":4200,\"currency\":\"eur\",\"number\":\"A-1\"}",
                         "Example Billing <billing@example.com>");
    must_have(mail, "From: \"Example Billing\" <billing@example.com>\r\n");
    must_have(mail, "To: <ops@acme.example>\r\n");
    must_have(mail, "Subject: A payment of 42.00 EUR failed\r\n");
    must_have(mail, "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n");
    must_have(mail, "Message-ID: <" ID "@example.com>\r\n");
    must_have(mail, "Auto-Submitted: auto-generated\r\n");
    must_have(mail, "multipart/alternative; boundary=\"=_" ID "\"\r\n\r\n--=_" ID "\r\n");
    must_have(mail, "\r\n--=_" ID "--\r\n");
    must_have(mail, "We could not collect 42.00 EUR for invoice A-1 (attempt ?).\r\n");
    free(mail);
}

/* No line is longer than RFC 5322 asks for, each ends in CRLF, and no CR or LF stands alone. */
static void check_lines(const char *mail)
{
    size_t column = 0;
    for (const char *at = mail; *at; at++) {
        if (*at == '\r')
            assert_int_equal(at[1], '\n');
        if (*at == '\n') {
            assert_true(at > mail && at[-1] == '\r');
            column = 0;
        } else {
            column++;
        }
        assert_true(column <= 200);
        assert_true((unsigned char)*at < 0x80);
    }
}

static void no_value_adds_a_header_or_an_element(void **state)
{
    static const char EVIL[] =
        "{\"metric\":\"x\\r\\nBcc: all@example.com\\r\\n\\r\\n<script>alert(1)</script>\","
        "\"threshold_percent\":80,\"used\":\"1\",\"limit\":\"2\",\"a&b\":\"\\u0085\\u2028\\\"'\"}";
    (void)state;
    char *mail = compose("quota_threshold", "evil\nSubject: x", EVIL, "billing@example.com");
    char *body = strstr(mail, "\r\n\r\n");
    assert_non_null(body);
    check_lines(mail);
    char *bcc = strstr(mail, "\r\nBcc:");
    assert_true(!bcc || bcc > body);
    const char *html = strstr(body, "text/html");
    assert_non_null(html);
    assert_null(strstr(html, "<script>"));
    must_have(mail, "&lt;script&gt;");
    char *subject = strstr(mail, "\r\nSubject: ");
    assert_non_null(subject);
    char *next = strstr(subject + 2, "\r\nSubject:");
    assert_true(!next || next > body);
    free(mail);
}

static void a_subject_beyond_ascii_is_encoded_by_whole_characters(void **state)
{
    (void)state;
    char *mail =
        compose("quota_threshold", "acme",
                "{\"threshold_percent\":80,\"metric\":\"Größe der größten Überraschungsgüter "
                "日本語日本語日本語\"}",
                "Müller & Söhne <billing@example.com>");
    must_have(mail, "From: =?UTF-8?B?TcO8bGxlciAmIFPDtmhuZQ==?= <billing@example.com>\r\n");
    must_have(mail, "Subject: =?UTF-8?B?");
    must_have(mail, "?=\r\n =?UTF-8?B?");
    check_lines(mail);
    free(mail);
}

static void what_has_no_words_is_told_all_the_same(void **state)
{
    (void)state;
    char *mail = compose("something_new", "acme", "{\"a\":1.50,\"b\":null,\"c\":{\"d\":[1]}}",
                         "billing@example.com");
    must_have(mail, "Subject: something new\r\n");
    must_have(mail, "a: 1.50\r\nb: none\r\nc: {\"d\": [1]}\r\n");
    free(mail);
    free(compose("payment_failed", "acme", "[]", "billing@example.com"));
}

static void a_long_value_is_cut_between_characters(void **state)
{
    char text[1024];
    (void)state;
    for (size_t i = 0; i < sizeof text - 2; i += 2)
        memcpy(text + i, "ü", 2);
    text[sizeof text - 2] = '\0';
    for (int from = 0; from < 2; from++) { /* the cut falls before and into a character */
        json_t *value = json_sprintf("%s%s", from ? "x" : "", text);
        struct buf b = {0};
        mail_add_value(&b, value);
        assert_true(str_is_utf8(b.data, b.length) && b.length < 310);
        buf_done(&b);
        json_decref(value);
    }
}

static void addresses_and_senders_are_one_address(void **state)
{
    static const char *const GOOD[] = {"a@b", "ops+x@acme.example", "jörg@bücher.example", NULL};
    static const char *const BAD[] = {
        "",      "a",       "@b",   "a@",     "a@b@c", "a b@c", "a@b\nBcc: x@y",
        "<a@b>", "a@b,c@d", "a@b>", "a@\xff", NULL};
    static const char *const BAD_FROM[] = {"",  "Name", "Name <a@b", "Name <a b@c>", "Na\nme <a@b>",
                                           NULL};
    char *address, *name;
    struct err e;
    (void)state;
    for (int i = 0; GOOD[i]; i++)
        assert_true(mail_is_address(GOOD[i]));
    for (int i = 0; BAD[i]; i++)
        assert_false(mail_is_address(BAD[i]));
    for (int i = 0; BAD_FROM[i]; i++)
        assert_int_equal(mail_parse_from(BAD_FROM[i], &address, &name, &e), -1);
    assert_int_equal(mail_parse_from("Name, Inc. <a@b>", &address, &name, &e), 0);
    assert_string_equal(address, "a@b");
    assert_string_equal(name, "Name, Inc.");
    free(address);
    free(name);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_the_header_that_mail_needs),
        cmocka_unit_test(no_value_adds_a_header_or_an_element),
        cmocka_unit_test(a_subject_beyond_ascii_is_encoded_by_whole_characters),
        cmocka_unit_test(what_has_no_words_is_told_all_the_same),
        cmocka_unit_test(a_long_value_is_cut_between_characters),
        cmocka_unit_test(addresses_and_senders_are_one_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
