/* Any data as a mail. The input: one byte that says of which kind the message is, then the tenant
 * up to a NUL, then the data as it stands. */
#include "common/str.h"
#include "notifier/mail/mail_kinds.h"
#include "notifier/mail/mail_text.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const MAIL_KINDS[] = {"payment_failed", "quota_threshold", "trial_ending",
                                         "payment_received", "of no words"};

/* Each line ends in CRLF, is ASCII, and is no longer than RFC 5322 allows. */
static void must_be_lines(const struct buf *mail)
{
    size_t column = 0;

    for (size_t i = 0; i < mail->length; i++) {
        unsigned char c = (unsigned char)mail->data[i];
        assert(c < 0x80 && c != '\0');
        assert(c != '\r' || mail->data[i + 1] == '\n');
        assert(c != '\n' || mail->data[i - 1] == '\r');
        column = c == '\n' ? 0 : column + 1;
        assert(column <= 998);
    }
    assert(mail->length > 2 && mail->data[mail->length - 1] == '\n');
}

/* The header has just our fields, each once, in their order. */
static void must_have_our_header(const struct buf *mail)
{
    static const char *const FIELDS[] = {
        "From: ",           "To: ",           "Subject: ",      "Date: ", "Message-ID: ",
        "Auto-Submitted: ", "MIME-Version: ", "Content-Type: ", NULL};
    const char *at = mail->data;

    for (int i = 0; FIELDS[i]; i++) {
        assert(strncmp(at, FIELDS[i], strlen(FIELDS[i])) == 0);
        do
            at = strstr(at, "\r\n") + 2;
        while (*at == ' ');
    }
    assert(at[0] == '\r' && at[1] == '\n');
}

/* Three delimiters, and no element in the HTML but ours: each "<" is followed by what we write. */
static void must_have_our_parts(const struct buf *mail)
{
    static const char *const OURS[] = {"!DOCTYPE", "html>",  "body>",  "p>",   "/p>",
                                       "table>",   "tr>",    "td>",    "/td>", "/tr>",
                                       "/table",   "/body>", "/html>", NULL};
    const char *html = strstr(mail->data, "\r\n--=_msg_fuzz\r\nContent-Type: text/html");
    struct buf plain = {0};
    int delimiters = 0;

    for (const char *at = mail->data; (at = strstr(at, "\r\n--=_msg_fuzz")); at++)
        delimiters++;
    assert(delimiters == 3 && html);
    html = strstr(html, "\r\n\r\n");
    for (const char *at = html; *at; at++) /* without soft breaks */
        if (strncmp(at, "=\r\n", 3) == 0)
            at += 2;
        else
            buf_add_char(&plain, *at);
    for (const char *at = plain.data; (at = strchr(at, '<')); at++) {
        bool ours = false;
        for (int i = 0; OURS[i]; i++)
            ours = ours || strncmp(at + 1, OURS[i], strlen(OURS[i])) == 0;
        assert(ours);
    }
    buf_done(&plain);
}

/* strndup may look beyond data, which ends without a NUL. */
static char *text_of(const uint8_t *data, size_t size)
{
    struct buf text = {0};
    buf_add(&text, data, size);
    return buf_take(&text);
}

static void fuzz_mail(const uint8_t *data, size_t size)
{
    char id[] = "msg_fuzz", to[] = "a@b";
    char *text = text_of(data + (size > 0), size > 0 ? size - 1 : 0);
    size_t tenant_length = strlen(text);
    char *tenant = xstrdup(text);
    char *rest = size > tenant_length + 2
                     ? text_of(data + tenant_length + 2, size - tenant_length - 2)
                     : xstrdup("{}");
    char *kind =
        xstrdup(MAIL_KINDS[(size > 0 ? data[0] : 0) % (sizeof MAIL_KINDS / sizeof *MAIL_KINDS)]);
    struct message m = {.id = id, .tenant = tenant, .kind = kind, .data = rest, .destination = to};
    struct buf mail = {0};

    str_make_utf8(tenant); /* as PostgreSQL has it */
    mail_compose(&m, "Ä <billing@example.com>", 1700000000000, &mail);
    must_be_lines(&mail);
    must_have_our_header(&mail);
    must_have_our_parts(&mail);
    buf_done(&mail);
    free(text);
    free(tenant);
    free(rest);
    free(kind);
}

FUZZ_TARGET(fuzz_mail)
