/* A tenant's own thresholds, and whom its messages go to. */
#include "api/request.h"
#include "api/sql.h"
#include "api/usage/usage_handlers.h"
#include "common/str.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_BYTES = 24, EMAIL_MAX_BYTES = 254, URL_MAX_BYTES = 2048, PERCENT_MAX = 10000 };
enum { THRESHOLDS_MAX = 50 };

static const char SECRET_PREFIX[] = "mlsec_";

static const struct api_param PERCENT[] = {
    {.place = API_BODY, .name = "", .type = API_WHOLE, .min = 1, .max = PERCENT_MAX},
    API_PARAMS_END};

const struct api_param ALERTS_PARAMS[] = {
    {.place = API_BODY,
     .name = "email",
     .type = API_TEXT,
     .nullable = true,
     .required = true,
     .min = 3,
     .max = EMAIL_MAX_BYTES,
     .what = "where mail goes; null: nowhere"},
    {.place = API_BODY,
     .name = "url",
     .type = API_TEXT,
     .nullable = true,
     .required = true,
     .min = 8,
     .max = URL_MAX_BYTES,
     .what = "https:// address that messages are posted to, signed; null: none"},
    {.place = API_BODY,
     .name = "thresholds",
     .type = API_LIST,
     .fields = PERCENT,
     .nullable = true,
     .required = true,
     .min = 1,
     .max = THRESHOLDS_MAX,
     .what = "per cent of a limit, each greater than the one before; null: those of the catalog"},
    API_PARAMS_END};

static const struct api_field PERCENT_FIELD[] = {{.name = "", .type = API_WHOLE}, API_FIELDS_END};

const struct api_field ALERTS_FIELDS[] = {
    {.name = "tenant", .type = API_TEXT, .what = "whose they are"},
    {.name = "email", .type = API_TEXT, .nullable = true, .what = "where mail goes"},
    {.name = "url",
     .type = API_TEXT,
     .nullable = true,
     .what = "where messages are posted; a password in it is ***"},
    {.name = "thresholds",
     .type = API_LIST,
     .fields = PERCENT_FIELD,
     .what = "per cent of a limit"},
    {.name = "own_thresholds", .type = API_BOOL, .what = "false: they are those of the catalog"},
    {.name = "secret",
     .type = API_TEXT,
     .nullable = true,
     .what = "signs what is posted; shown this once, when the URL is set or changed"},
    {.name = "updated_at",
     .type = API_TIME,
     .nullable = true,
     .what = "null: nothing was ever set"},
    API_FIELDS_END};

static void start_read(struct pg_statement *s, const struct api_request *r)
{
    pg_statement_init(s, SQL_READ_ALERTS);
    pg_add_text(s, r->tenant);
}

void alerts_read(struct api_request *r)
{
    struct pg_statement s;
    start_read(&s, r);
    api_answer_row(r, &s);
}

/* As the notifier takes it. */
static bool is_email(const char *text)
{
    const char *at = strrchr(text, '@');
    return at && at > text && strchr(text, '@') == at && strchr(at, '.') && !strchr(text, ' ') &&
           !text[strcspn(text, "<>()[],;:\"\\")];
}

static bool is_url(const char *text)
{
    return strncmp(text, "https://", 8) == 0 && text[8] && !strchr(text, ' ');
}

/* {80,100}. Returns NULL where they do not rise. */
static char *array_of(const json_t *list)
{
    struct buf text = {0};
    json_int_t last = 0;
    size_t i;
    json_t *item;
    buf_add_char(&text, '{');
    json_array_foreach(list, i, item)
    {
        if (json_integer_value(item) <= last) {
            buf_done(&text);
            return NULL;
        }
        last = json_integer_value(item);
        buf_printf(&text, "%s%" PRId64, i ? "," : "", (int64_t)last);
    }
    buf_add_char(&text, '}');
    return buf_take(&text);
}

static json_t *load_row(const PGresult *result)
{
    return json_loads(PQgetvalue(result, 0, 0), 0, NULL);
}

/* What was there, what became of the secret, what is there now. */
static void take_written(struct api_request *r, PGresult **results, int n)
{
    json_t *before = load_row(results[0]);
    json_t *after = load_row(results[3]);
    json_t *answer = json_deep_copy(after);
    (void)n;
    api_note(r, NULL, before, after);
    if (!PQgetisnull(results[1], 0, 0)) {
        json_object_set_new(answer, "secret", json_string(PQgetvalue(results[1], 0, 0)));
        api_tell_once(r);
    }
    api_answer(r, answer);
}

static void run_write(struct api_request *r, const char *thresholds)
{
    unsigned char random[SECRET_BYTES];
    char secret[sizeof SECRET_PREFIX + 2 * (size_t)SECRET_BYTES];
    struct pg_statement s[4];
    randombytes_buf(random, sizeof random);
    memcpy(secret, SECRET_PREFIX, sizeof SECRET_PREFIX);
    sodium_bin2hex(secret + sizeof SECRET_PREFIX - 1, sizeof secret - sizeof SECRET_PREFIX + 1,
                   random, sizeof random);
    start_read(&s[0], r);
    pg_statement_init(&s[1], SQL_WRITE_ALERTS);
    pg_add_text(&s[1], r->tenant);
    pg_add_text(&s[1], api_text(r, "email"));
    pg_add_text(&s[1], api_text(r, "url"));
    pg_add_text(&s[1], thresholds);
    pg_add_text(&s[1], secret);
    pg_statement_init(&s[2], SQL_CHECK_ALERTS);
    pg_add_text(&s[2], r->tenant);
    start_read(&s[3], r);
    api_change(r, s, 4, take_written);
}

void alerts_write(struct api_request *r)
{
    const char *email = api_text(r, "email");
    const char *url = api_text(r, "url");
    json_t *list = api_json(r, "thresholds");
    char *thresholds = json_is_array(list) ? array_of(list) : NULL;
    if (email && !is_email(email))
        api_fail(r, 400, "bad_parameter", "email",
                 "email must be an address such as billing@example.com");
    else if (url && !is_url(url))
        api_fail(r, 400, "bad_parameter", "url", "url must begin with https://");
    else if (json_is_array(list) && !thresholds)
        api_fail(r, 400, "bad_parameter", "thresholds",
                 "each threshold must be greater than the one before");
    else
        run_write(r, thresholds);
    free(thresholds);
}
