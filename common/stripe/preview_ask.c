#include "common/stripe/preview_ask.h"

#include "common/str.h"
#include "common/stripe/stripe_form.h"

#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 5000 }; /* ours is there already; somebody waits for both */

struct preview_call {
    preview_done_fn done;
    void *owner;
};

static void give_invoice(const struct preview_call *call, const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    call->done(call->owner, text, NULL);
    free(text);
}

/* A subscription that ends, or is canceled: 404, or 400 in old versions. */
static bool says_none(const struct stripe_reply *reply)
{
    return reply->code && strcmp(reply->code, "invoice_upcoming_none") == 0;
}

static void on_reply(void *owner, const struct stripe_reply *reply)
{
    struct preview_call *call = owner;
    if (reply->outcome == STRIPE_DONE)
        give_invoice(call, reply->object);
    else
        call->done(call->owner, NULL, says_none(reply) ? "" : reply->error->text);
    free(call);
}

const char *preview_no_question(const json_t *ours)
{
    return json_is_array(json_object_get(ours, "request"))
               ? NULL
               : "Stripe has no preview of another interval, or of a first fee, from the period's "
                 "end on";
}

void preview_ask(struct stripe_calls *calls, const json_t *request, preview_done_fn done,
                 void *owner)
{
    size_t i;
    const json_t *pair;
    struct stripe_form form = {0};
    struct preview_call *call = xmalloc(sizeof *call);
    *call = (struct preview_call){done, owner};
    json_array_foreach(request, i, pair)
    {
        stripe_form_text(&form, json_string_value(json_array_get(pair, 1)), "%s",
                         json_string_value(json_array_get(pair, 0)));
    }
    stripe_calls_send(calls,
                      &(struct stripe_request){.method = "POST",
                                               .path = "/v1/invoices/create_preview",
                                               .form = stripe_form_body(&form),
                                               .patience_ms = PATIENCE_MS},
                      on_reply, call);
    stripe_form_done(&form);
}

json_t *preview_alone(json_t *ours, const char *why)
{
    json_object_del(ours, "request");
    json_object_set_new(ours, "stripe", json_pack("{s:b, s:s}", "asked", 0, "why", why));
    json_object_set_new(ours, "difference", json_null());
    return ours;
}
