/* Portal tokens: for a customer's browser, a viewer of one tenant for some minutes. */
#include "api/request.h"
#include "api/sql.h"
#include "api/usage/usage_routes.h"
#include "common/api_key.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_SIZE = 24 };

static const struct api_param PARAMS[] = {
    {.place = API_BODY,
     .name = "expires_in_s",
     .type = API_WHOLE,
     .min = 60,
     .max = 86400,
     .what = "how long it holds; API_PORTAL_TOKEN_S if it is left out"},
    API_PARAMS_END};

static const struct api_field TOKEN[] = {
    {.name = "token", .type = API_TEXT, .what = "for Authorization: Bearer; shown this once"},
    {.name = "tenant", .type = API_TEXT, .what = "whose it is"},
    {.name = "expires_at", .type = API_TIME, .what = "when it stops"},
    API_FIELDS_END};

static void take_token(struct api_request *r, PGresult **results, int n)
{
    (void)n;
    const char *expires_at = PQgetvalue(results[0], 0, 0);
    api_note(r, NULL, NULL, json_pack("{s:s}", "expires_at", expires_at));
    api_tell_once(r);
    api_answer(r, json_pack("{s:s,s:s,s:s}", "token", r->state, "tenant", r->tenant, "expires_at",
                            expires_at));
}

static void create_token(struct api_request *r)
{
    unsigned char hash[API_KEY_HASH_BYTES];
    char token[API_KEY_TEXT_SIZE];
    char seconds[NUMBER_SIZE];
    struct pg_statement s;
    api_key_make(API_TOKEN_PREFIX, token);
    api_key_hash(token, hash);
    r->state = xstrdup(token);
    r->release = free;
    snprintf(seconds, sizeof seconds, "%" PRId64,
             api_given(r, "expires_in_s") ? api_whole(r, "expires_in_s")
                                          : r->context->config->portal_token_s);
    pg_statement_init(&s, SQL_ADD_PORTAL_TOKEN);
    pg_add_binary(&s, PG_BYTEA, hash, sizeof hash);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, r->caller.key_id);
    pg_add_text(&s, seconds);
    api_change(r, &s, 1, take_token);
}

const struct api_route PORTAL_ROUTES[] = {
    {.method = "POST",
     .path = "/api/billing/portal_token",
     .what = "Makes a token for a customer's browser: a viewer of this tenant, for minutes.",
     .detail = "It stops with the key that made it. A repetition under its Idempotency-Key is 409 "
               "`told_once`, since the token is stored nowhere.",
     .lost = "send it again under another Idempotency-Key for another token",
     .role = API_EDITOR,
     .history = "portal_token_created",
     .params = PARAMS,
     .answer = TOKEN,
     .handle = create_token},
    {.method = NULL}};
