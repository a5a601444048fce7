#include "ctl/stripe/setup_report.h"

#include "common/currency.h"
#include "common/str.h"
#include "ctl/ctl.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *action;
    const char *done;
} ACTIONS[] = {
    {"create", "created"}, {"change", "changed"}, {"replace", "replaced"},
    {"keep", "keep"},      {"warn", "warn"},
};
enum { N_ACTIONS = sizeof ACTIONS / sizeof *ACTIONS };

static const char *text_of(const json_t *step, const char *key)
{
    const char *text = json_string_value(json_object_get(step, key));
    return text ? text : "";
}

static bool is(const json_t *step, const char *key, const char *text)
{
    return strcmp(text_of(step, key), text) == 0;
}

static const char *word_of(const json_t *step, bool done)
{
    for (int i = 0; i < N_ACTIONS; i++)
        if (is(step, "action", ACTIONS[i].action))
            return done ? ACTIONS[i].done : ACTIONS[i].action;
    return "";
}

/* What a price comes to: "99.00 USD a month", "100 for nothing, then 0.1 minor units of usd each".
 */
static void add_price(struct buf *out, const json_t *params)
{
    const char *currency = text_of(params, "currency");
    const json_t *tiers = json_object_get(params, "tiers");
    const json_t *first = json_array_get(tiers, 0);
    const json_t *last = json_array_get(tiers, json_array_size(tiers) - 1);
    const json_t *flat = json_object_get(first, "flat_amount");
    const json_t *amount = json_object_get(tiers ? first : params, "unit_amount");
    if (flat) {
        currency_add_amount(out, json_integer_value(flat), currency);
        buf_add_str(out, " and for each seat ");
    }
    if (json_array_size(tiers) > 1)
        buf_printf(out, "%" JSON_INTEGER_FORMAT " for nothing, then ",
                   json_integer_value(json_object_get(first, "up_to")));
    if (amount)
        currency_add_amount(out, json_integer_value(amount), currency);
    else
        buf_printf(out, "%s minor units of %s each", text_of(last, "unit_amount_decimal"),
                   currency);
    buf_printf(out, " a %s", text_of(json_object_get(params, "recurring"), "interval"));
}

static void tell_price(FILE *out, const json_t *step)
{
    struct buf text = {0};
    if (!is(step, "kind", "price") || !is(step, "action", "create"))
        return;
    add_price(&text, json_object_get(step, "params"));
    fprintf(out, ": %s", text.data);
    buf_done(&text);
}

void setup_report_step(FILE *out, const json_t *step, bool done)
{
    size_t i;
    const json_t *why;
    fprintf(out, "%-8s %-16s %s", word_of(step, done), text_of(step, "kind"),
            text_of(step, "name"));
    if (done && *text_of(step, "id"))
        fprintf(out, "  %s", text_of(step, "id"));
    tell_price(out, step);
    json_array_foreach(json_object_get(step, "why"), i, why)
    {
        fprintf(out, "%s%s", i == 0 ? ": " : "; ", json_string_value(why));
    }
    if (*text_of(step, "replaced"))
        fprintf(out, "; %s stays for who has it", text_of(step, "replaced"));
    fputc('\n', out);
}

int setup_report_count(const json_t *steps, const char *action)
{
    int n = 0;
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        n += is(step, "action", action);
    }
    return n;
}

/* What was done was told when it was done. */
static bool is_told(const json_t *step, bool only_plan)
{
    if (is(step, "action", "keep"))
        return json_array_size(json_object_get(step, "why")) > 0;
    return only_plan || is(step, "action", "warn");
}

void setup_report(FILE *out, const json_t *steps, bool only_plan)
{
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        if (is_told(step, only_plan))
            setup_report_step(out, step, false);
    }
    fputs("setup", out);
    for (int k = 0; k < N_ACTIONS; k++)
        fprintf(out, " %s=%d", only_plan ? ACTIONS[k].action : ACTIONS[k].done,
                setup_report_count(steps, ACTIONS[k].action));
    fputc('\n', out);
}

static void add_upper(struct buf *name, const char *text)
{
    for (; *text; text++)
        buf_add_char(name,
                     isalnum((unsigned char)*text) ? (char)toupper((unsigned char)*text) : '_');
}

/* Appends nothing for what no program needs to know. */
static void add_name(struct buf *name, const json_t *step)
{
    if (is(step, "kind", "tax_rate"))
        buf_add_str(name, "STRIPE_TAX_RATE");
    else if (is(step, "kind", "portal"))
        buf_add_str(name, "STRIPE_PORTAL_CONFIGURATION");
    if (!is(step, "kind", "price"))
        return;
    buf_add_str(name, "STRIPE_PRICE_");
    if (*text_of(step, "metric")) {
        add_upper(name, text_of(step, "metric"));
        buf_add_char(name, '_');
    }
    add_upper(name, text_of(step, "plan"));
    if (json_is_true(json_object_get(step, "yearly")))
        buf_add_str(name, "_YEAR");
}

void setup_report_env(const json_t *steps)
{
    json_t *seen = json_object();
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        struct buf name = {0};
        add_name(&name, step);
        if (!name.length || !*text_of(step, "id")) {
            buf_done(&name);
            continue;
        }
        if (json_object_get(seen, name.data))
            ctl_fail(0,
                     "%s would be the name of two prices, %s is left out: rename a plan or a "
                     "metric",
                     name.data, text_of(step, "name"));
        else
            printf("%s=%s\n", name.data, text_of(step, "id"));
        json_object_set_new(seen, name.data, json_true());
        buf_done(&name);
    }
    json_decref(seen);
}
