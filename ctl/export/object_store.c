#include "ctl/export/object_store.h"

#include "common/http/curl_loop.h"
#include "common/str.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TRIES = 5,
    FIRST_WAIT_MS = 200, /* doubles */
    CONNECT_TIMEOUT_MS = 10000,
    STALLED_S = 60,
    ANSWER_MAX = 65536,
    PARTS_MAX = 10000, /* of S3 */
    HOST_SIZE = 280
};

struct object_store {
    const struct object_store_config *config;
    CURL *easy;
    char host[HOST_SIZE]; /* with the port, as the header says it */
    const char *path;     /* of the address */
    const char *name;     /* of the object that is being written */
    const char *content_type;
    struct buf part;      /* not sent yet */
    struct buf upload_id; /* percent-encoded; empty: no multipart upload was begun */
    struct buf parts;     /* what completes it, as XML */
    int parts_n;
    int64_t bytes;
    crypto_hash_sha256_state hash; /* of all of it */
    struct buf answer;
    char etag[128];
};

int object_store_check_url(const char *text, struct err *e)
{
    static const char PATH[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/";
    static const char HOST[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:[]";
    const char *host = strstr(text, "://");
    size_t scheme = host ? (size_t)(host - text) : 0;
    bool known = (scheme == 5 && strncmp(text, "https", 5) == 0) ||
                 (scheme == 4 && strncmp(text, "http", 4) == 0);
    host += known ? strlen("://") : 0;
    size_t length = known ? strspn(host, HOST) : 0;
    const char *path = known ? host + length : text;
    if (known && length > 0 && length < HOST_SIZE && path[0] == '/' && path[1] && path[1] != '/' &&
        path[strspn(path, PATH)] == '\0' && path[strlen(path) - 1] != '/' && !strstr(path, "//") &&
        !strstr(path, ".."))
        return 0;
    return err_set(e, ERR_CONFIG,
                   "must be such as https://s3.eu-central-1.amazonaws.com/bucket/folder");
}

struct object_store *object_store_open(const struct object_store_config *config)
{
    CURLcode failed = curl_global_init(CURL_GLOBAL_DEFAULT);
    struct object_store *s = xcalloc(1, sizeof *s);
    const char *host = strstr(config->url, "://") + strlen("://");
    assert(!failed);
    (void)failed;
    s->config = config;
    s->path = strchr(host, '/');
    snprintf(s->host, sizeof s->host, "%.*s", (int)(s->path - host), host);
    s->easy = curl_easy_init();
    assert(s->easy);
    return s;
}

void object_store_close(struct object_store *s)
{
    curl_easy_cleanup(s->easy);
    buf_done(&s->part);
    buf_done(&s->upload_id);
    buf_done(&s->parts);
    buf_done(&s->answer);
    free(s);
}

/* Calls. */

struct call {
    const char *method;
    const char *query; /* "" */
    const char *body;
    size_t length;
};

static size_t take_body(char *data, size_t size, size_t n, void *owner)
{
    struct object_store *s = owner;
    if (s->answer.length + size * n > ANSWER_MAX)
        return 0;
    buf_add(&s->answer, data, size * n);
    return size * n;
}

static size_t take_header(char *data, size_t size, size_t n, void *owner)
{
    static const char ETAG[] = "etag:";
    struct object_store *s = owner;
    size_t length = size * n;
    size_t at = strlen(ETAG);
    for (size_t i = 0; i < at; i++)
        if (i >= length || tolower((unsigned char)data[i]) != ETAG[i])
            return length;
    while (at < length && data[at] == ' ')
        at++;
    while (length > at && strchr("\r\n ", data[length - 1]))
        length--;
    snprintf(s->etag, sizeof s->etag, "%.*s", (int)(length - at), data + at);
    return size * n;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    struct buf line = {0};
    buf_printf(&line, "%s: %s", name, value);
    list = curl_slist_append(list, line.data);
    assert(list);
    buf_done(&line);
    return list;
}

static struct curl_slist *sign(struct object_store *s, const struct call *c, const char *path)
{
    char hash[SIGV4_HASH_SIZE];
    char at[SIGV4_TIME_SIZE];
    struct buf authorization = {0};
    sigv4_hash(c->body, c->length, hash);
    sigv4_time(time(NULL), at);
    const struct sigv4_header headers[] = {
        {"host", s->host}, {"x-amz-content-sha256", hash}, {"x-amz-date", at}, {NULL, NULL}};
    const struct sigv4_request r = {.method = c->method,
                                    .path = path,
                                    .query = c->query,
                                    .headers = headers,
                                    .payload_hash = hash,
                                    .region = s->config->region,
                                    .service = "s3",
                                    .key_id = s->config->key_id,
                                    .secret = s->config->secret,
                                    .time = at};
    sigv4_authorize(&r, &authorization);
    struct curl_slist *list = NULL;
    for (const struct sigv4_header *h = headers; h->name; h++)
        list = add_header(list, h->name, h->value);
    list = add_header(list, "authorization", authorization.data);
    list = add_header(list, "content-type", s->content_type);
    list = curl_slist_append(list, "Expect:"); /* no wait for a 100 */
    buf_done(&authorization);
    return list;
}

/* The status, or 0 with e: no answer came. */
static long try_call(struct object_store *s, const struct call *c, struct err *e)
{
    struct buf url = {0};
    long status = 0;
    buf_printf(&url, "%s/%s", s->config->url, s->name);
    struct buf path = {0};
    buf_printf(&path, "%s/%s", s->path, s->name);
    struct curl_slist *headers = sign(s, c, path.data);
    if (*c->query)
        buf_printf(&url, "?%s", c->query);
    buf_clear(&s->answer);
    s->etag[0] = '\0';
    curl_easy_reset(s->easy); /* the connection stays */
    curl_set_safety(s->easy);
    curl_easy_setopt(s->easy, CURLOPT_URL, url.data);
    curl_easy_setopt(s->easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(s->easy, CURLOPT_CUSTOMREQUEST, c->method);
    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, c->body);
    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->length);
    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(s->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(s->easy, CURLOPT_LOW_SPEED_TIME, (long)STALLED_S);
    CURLcode code = curl_easy_perform(s->easy);
    if (code == CURLE_OK)
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    else
        err_set(e, ERR_CLOSED, "%s: %s", s->host, curl_easy_strerror(code));
    curl_slist_free_all(headers);
    buf_done(&url);
    buf_done(&path);
    return status;
}

/* The text of the first element of that name in the answer, appended to out. */
static bool find_element(const struct object_store *s, const char *name, struct buf *out)
{
    struct buf open = {0};
    struct buf close = {0};
    buf_printf(&open, "<%s>", name);
    buf_printf(&close, "</%s>", name);
    const char *begin = s->answer.length ? strstr(s->answer.data, open.data) : NULL;
    const char *end = begin ? strstr(begin, close.data) : NULL;
    if (end)
        buf_add(out, begin + open.length, (size_t)(end - begin) - open.length);
    buf_done(&open);
    buf_done(&close);
    return end != NULL;
}

static int fail_answer(const struct object_store *s, long status, struct err *e)
{
    struct buf code = {0};
    if (!find_element(s, "Code", &code))
        buf_printf(&code, "no reason told");
    err_set(e, ERR_REFUSED, "%s answered %ld, %.60s", s->host, status, code.data);
    buf_done(&code);
    return -1;
}

static void wait_before(int attempt)
{
    int64_t ms = (int64_t)FIRST_WAIT_MS << (attempt - 1);
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Repeats what may pass: no answer, a throttle, a fault of the store's. Each of our calls may be
 * done twice. An upload is completed with 200 and an error in the answer, if it took long. */
static int call(struct object_store *s, struct call c, struct err *e)
{
    for (int attempt = 0; attempt < TRIES; attempt++) {
        struct buf error = {0};
        if (attempt > 0)
            wait_before(attempt);
        long status = try_call(s, &c, e);
        bool is_error = status == 200 && find_element(s, "Error", &error);
        buf_done(&error);
        if (status >= 200 && status < 300 && !is_error)
            return 0;
        if (status > 0)
            fail_answer(s, status, e);
        if (status > 0 && status < 500 && status != 429 && status != 408 && !is_error)
            break;
    }
    return -1;
}

/* The object. */

void object_begin(struct object_store *s, const char *name, const char *content_type)
{
    s->name = name;
    s->content_type = content_type;
    s->parts_n = 0;
    s->bytes = 0;
    buf_clear(&s->part);
    buf_clear(&s->upload_id);
    buf_clear(&s->parts);
    crypto_hash_sha256_init(&s->hash);
}

static int begin_upload(struct object_store *s, struct err *e)
{
    struct buf id = {0};
    int failed = call(s, (struct call){"POST", "uploads=", "", 0}, e);
    if (!failed && (!find_element(s, "UploadId", &id) || id.length == 0))
        failed = err_set(e, ERR_REFUSED, "%s began no upload", s->host);
    if (!failed)
        sigv4_encode(&s->upload_id, id.data);
    buf_done(&id);
    return failed;
}

static int send_part(struct object_store *s, const char *data, size_t length, struct err *e)
{
    struct buf query = {0};
    if (s->parts_n == PARTS_MAX)
        return err_set(e, ERR_RANGE, "more than %d parts: raise EXPORT_PART_MB", PARTS_MAX);
    if (s->upload_id.length == 0 && begin_upload(s, e))
        return -1;
    buf_printf(&query, "partNumber=%d&uploadId=%s", ++s->parts_n, s->upload_id.data);
    int failed = call(s, (struct call){"PUT", query.data, data, length}, e);
    buf_printf(&s->parts, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", s->parts_n,
               s->etag);
    buf_done(&query);
    return failed;
}

int object_write(struct object_store *s, const char *data, size_t length, struct err *e)
{
    size_t part = s->config->part_bytes;
    crypto_hash_sha256_update(&s->hash, (const unsigned char *)data, length);
    s->bytes += (int64_t)length;
    while (length > 0) {
        /* A full part waits until there is more: what fits into one is put at once. */
        if (s->part.length == part) {
            if (send_part(s, s->part.data, s->part.length, e))
                return -1;
            buf_clear(&s->part);
        }
        size_t room = part - s->part.length;
        size_t taken = length < room ? length : room;
        buf_add(&s->part, data, taken);
        data += taken;
        length -= taken;
    }
    return 0;
}

static int complete_upload(struct object_store *s, struct err *e)
{
    struct buf query = {0};
    struct buf body = {0};
    buf_printf(&query, "uploadId=%s", s->upload_id.data);
    buf_printf(&body, "<CompleteMultipartUpload>%s</CompleteMultipartUpload>", s->parts.data);
    int failed = call(s, (struct call){"POST", query.data, body.data, body.length}, e);
    buf_done(&query);
    buf_done(&body);
    return failed;
}

int object_end(struct object_store *s, struct object_sum *sum, struct err *e)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    const char *rest = s->part.length ? s->part.data : "";
    if (s->parts_n == 0 ? call(s, (struct call){"PUT", "", rest, s->part.length}, e)
                        : send_part(s, rest, s->part.length, e) || complete_upload(s, e))
        return -1;
    crypto_hash_sha256_final(&s->hash, hash);
    sodium_bin2hex(sum->sha256, sizeof sum->sha256, hash, sizeof hash);
    sum->bytes = s->bytes;
    return 0;
}

/* What was sent of it would be stored, and paid for, until somebody deletes it. */
void object_cancel(struct object_store *s)
{
    struct buf query = {0};
    struct err ignored;
    if (s->upload_id.length == 0)
        return;
    buf_printf(&query, "uploadId=%s", s->upload_id.data);
    try_call(s, &(struct call){"DELETE", query.data, "", 0}, &ignored);
    buf_done(&query);
    buf_clear(&s->upload_id);
}
