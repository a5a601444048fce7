#include "notifier/mail/mail_text.h"

#include "common/json_exact.h"
#include "notifier/mail/mail_kinds.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORD_BYTES = 39, LINE_MAX_BYTES = 75 };

bool mail_is_address(const char *text)
{
    const char *at = strchr(text, '@');
    if (!at || at == text || !at[1] || strchr(at + 1, '@') || strlen(text) > 254)
        return false;
    return !text[strcspn(text, " <>()[],;:\"\\")] && str_is_utf8(text, strlen(text)) &&
           !str_has_control(text, strlen(text));
}

int mail_parse_from(const char *text, char **address, char **name, struct err *e)
{
    const char *open = strrchr(text, '<');
    size_t length = strlen(text);
    *address = *name = NULL;
    if (str_has_control(text, length) || !str_is_utf8(text, length))
        return err_set(e, ERR_CONFIG, "must be text without control characters");
    if (!open) {
        *address = xstrdup(text);
        *name = xstrdup("");
    } else if (text[length - 1] == '>') {
        size_t n = (size_t)(open - text);
        while (n > 0 && text[n - 1] == ' ')
            n--;
        *address = xstrndup(open + 1, length - (size_t)(open - text) - 2);
        *name = xstrndup(text, n);
    }
    if (*address && mail_is_address(*address))
        return 0;
    free(*address);
    free(*name);
    *address = *name = NULL;
    return err_set(e, ERR_CONFIG, "must be user@host or Name <user@host>");
}

/* Header lines. */

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

/* RFC 2047: words of at most 75 characters, each of whole characters, a line each. */
static void add_encoded(struct buf *out, const char *text)
{
    size_t left = strlen(text);
    for (bool first = true; left > 0; first = false) {
        size_t n = 0, more;
        while (n < left && (more = str_utf8_char(text + n, left - n)) > 0 && n + more <= WORD_BYTES)
            n += more;
        if (n == 0) /* cannot be: what comes here is UTF-8 */
            return;
        buf_add_str(out, first ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
        buf_add_base64(out, text, n);
        buf_add_str(out, "?=");
        text += n;
        left -= n;
    }
}

/* The text of a header field, where no byte can end the line. */
static void add_words(struct buf *out, const char *text)
{
    char *safe = xstrdup(text);
    str_make_utf8(safe);
    for (char *at = safe; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    if (is_plain(safe) && !strstr(safe, "=?") && strlen(safe) <= LINE_MAX_BYTES)
        buf_add_str(out, safe);
    else
        add_encoded(out, safe);
    free(safe);
}

static void add_from(struct buf *out, const char *address, const char *name)
{
    buf_add_str(out, "From: ");
    if (*name && is_plain(name)) {
        buf_add_char(out, '"');
        for (; *name; name++) {
            if (*name == '"' || *name == '\\')
                buf_add_char(out, '\\');
            buf_add_char(out, *name);
        }
        buf_printf(out, "\" <%s>\r\n", address);
    } else {
        add_encoded(out, name);
        buf_printf(out, "%s<%s>\r\n", *name ? " " : "", address);
    }
}

/* RFC 5322, 3.3; names of days and months in English, whatever the locale. */
static void add_date(struct buf *out, int64_t now_ms)
{
    static const char DAYS[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char MONTHS[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm t;
    gmtime_r(&seconds, &t);
    buf_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", DAYS[t.tm_wday], t.tm_mday,
               MONTHS[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* Bodies. */

/* RFC 2045, 6.7: lines of at most 76 characters, a soft break where a longer one is cut. */
static void add_quoted_printable(struct buf *out, const char *text)
{
    size_t column = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool is_last_blank = (*at == ' ' || *at == '\t') && (at[1] == '\n' || at[1] == '\0');
        if (*at == '\n') {
            buf_add_str(out, "\r\n");
            column = 0;
            continue;
        }
        bool is_safe = *at >= 0x20 && *at < 0x7f && *at != '=' && !is_last_blank;
        if (column + (is_safe ? 1 : 3) > LINE_MAX_BYTES) {
            buf_add_str(out, "=\r\n");
            column = 0;
        }
        if (is_safe)
            buf_add_char(out, (char)*at);
        else
            buf_printf(out, "=%02X", *at);
        column += is_safe ? 1 : 3;
    }
    buf_add_str(out, "\r\n");
}

static void add_html(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            buf_add_str(out, "&amp;");
        else if (*text == '<')
            buf_add_str(out, "&lt;");
        else if (*text == '>')
            buf_add_str(out, "&gt;");
        else if (*text == '"')
            buf_add_str(out, "&quot;");
        else
            buf_add_char(out, *text);
    }
}

static void add_html_row(struct buf *out, const char *name, const char *value)
{
    buf_add_str(out, "<tr><td>");
    add_html(out, name);
    buf_add_str(out, "</td><td>");
    add_html(out, value);
    buf_add_str(out, "</td></tr>\n");
}

struct parts {
    struct buf subject;
    struct buf what;
    struct buf to_do;
    struct buf plain;
    struct buf html;
};

/* The same rows in both forms: all that is known, and by which id to ask for it. */
static void add_rows(struct parts *p, const struct message *m, const json_t *data)
{
    const char *name;
    json_t *value;
    void *next;
    struct buf text = {0};
    json_object_foreach_safe((json_t *)(uintptr_t)data, next, name, value)
    {
        buf_clear(&text);
        mail_add_value(&text, value);
        buf_printf(&p->plain, "%s: %s\n", name, text.length > 0 ? text.data : "");
        add_html_row(&p->html, name, text.length > 0 ? text.data : "");
    }
    buf_printf(&p->plain, "tenant: %s\nmessage: %s\n", m->tenant, m->id);
    add_html_row(&p->html, "tenant", m->tenant);
    add_html_row(&p->html, "message", m->id);
    buf_done(&text);
}

static void fill_parts(struct parts *p, const struct message *m)
{
    const struct mail_kind *kind = mail_kind_of(m->kind);
    json_t *data = json_exact_load(m->data, strlen(m->data));
    mail_fill(&p->subject, kind->subject, m, data);
    mail_fill(&p->what, kind->what, m, data);
    mail_fill(&p->to_do, kind->to_do, m, data);
    buf_printf(&p->plain, "%s\n\n%s\n\n", p->what.data, p->to_do.data);
    buf_add_str(&p->html, "<!DOCTYPE html>\n<html><body>\n<p>");
    add_html(&p->html, p->what.data);
    buf_add_str(&p->html, "</p>\n<p>");
    add_html(&p->html, p->to_do.data);
    buf_add_str(&p->html, "</p>\n<table>\n");
    add_rows(p, m, data);
    buf_add_str(&p->html, "</table>\n</body></html>\n");
    json_decref(data);
}

static void add_part(struct buf *out, const char *boundary, const char *type, const char *text)
{
    buf_printf(out,
               "--%s\r\nContent-Type: text/%s; charset=utf-8\r\n"
               "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
               boundary, type);
    add_quoted_printable(out, text);
}

void mail_compose(const struct message *m, const char *from, int64_t now_ms, struct buf *out)
{
    struct parts p = {0};
    struct err e;
    char *address, *name;
    /* No line of quoted-printable can be this: it has "=_". */
    char *boundary = xasprintf("=_%s", m->id);
    int failed = mail_parse_from(from, &address, &name, &e);
    assert(!failed); /* the setting was checked */
    (void)failed;
    fill_parts(&p, m);
    add_from(out, address, name);
    buf_printf(out, "To: <%s>\r\nSubject: ", m->destination);
    add_words(out, p.subject.data);
    buf_add_str(out, "\r\n");
    add_date(out, now_ms);
    buf_printf(out, "Message-ID: <%s@%s>\r\n", m->id, strchr(address, '@') + 1);
    buf_printf(out,
               "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
               "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n",
               boundary);
    add_part(out, boundary, "plain", p.plain.data);
    add_part(out, boundary, "html", p.html.data);
    buf_printf(out, "--%s--\r\n", boundary);
    buf_done(&p.subject);
    buf_done(&p.what);
    buf_done(&p.to_do);
    buf_done(&p.plain);
    buf_done(&p.html);
    free(boundary);
    free(address);
    free(name);
}
