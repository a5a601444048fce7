#include "notifier/mail/mail_kinds.h"

#include "common/currency.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE_MAX_BYTES = 300, NAME_SIZE = 64 };

/* clang-format off */
static const struct mail_kind KINDS[] = {
    {"subscription_started", "Your subscription has started",
     "Your subscription to the plan {plan} has started.",
     "There is nothing to do."},
    {"subscription_changed", "Your subscription has changed",
     "Your subscription to the plan {plan} has changed. What it was before and what it is now stand below.",
     "If you did not ask for this, please tell us."},
    {"subscription_ended", "Your subscription has ended",
     "Your subscription to the plan {plan} has ended.",
     "If you want to go on, please subscribe again."},
    {"trial_ending", "Your trial is about to end",
     "The trial of your plan {plan} ends at {trial_end}.",
     "To go on after it, see that a payment method is on file. If you do not want to go on, cancel before it ends."},
    {"payment_received", "We received your payment of {money}",
     "We received your payment of {money}. Thank you.",
     "There is nothing to do."},
    {"payment_failed", "A payment of {money} failed",
     "We could not collect {money} for invoice {number} (attempt {attempt}).",
     "Please check your payment method. The next attempt is at: {next_attempt_at}."},
    {"payment_action_required", "A payment of {money} needs your approval",
     "Your bank wants you to approve the payment of {money} for invoice {number}.",
     "Please open the invoice and approve the payment."},
    {"invoice_upcoming", "Your next invoice: {money}",
     "Your next invoice is about to be made. At this moment it comes to {money}.",
     "There is nothing to do if your payment method is up to date."},
    {"quota_threshold", "{threshold_percent} % of your {metric} are used",
     "You have used {used} {metric} of {limit}, which is {threshold_percent} %.",
     "If you will need more, please choose a larger plan."},
    {"test", "This is a test",
     "Somebody asked for a test of this address.",
     "There is nothing to do: messages arrive."},
    {NULL, "{kind}",
     "This happened: {kind}.",
     "What is known of it stands below."}};
/* clang-format on */

const struct mail_kind *mail_kind_of(const char *kind)
{
    const struct mail_kind *k = KINDS;
    while (k->kind && strcmp(k->kind, kind) != 0)
        k++;
    return k;
}

/* Cut between two characters. */
static void add_short(struct buf *out, const char *text)
{
    size_t length = strlen(text);
    if (length <= VALUE_MAX_BYTES) {
        buf_add(out, text, length);
        return;
    }
    length = VALUE_MAX_BYTES;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    buf_add(out, text, length);
    buf_add_str(out, "…");
}

void mail_add_value(struct buf *out, const json_t *value)
{
    if (!value) {
        buf_add_str(out, "?");
    } else if (json_is_string(value)) {
        add_short(out, json_string_value(value));
    } else if (json_is_null(value)) {
        buf_add_str(out, "none");
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS);
        add_short(out, text ? text : "?");
        free(text);
    }
}

static void add_money_of(struct buf *out, const json_t *data)
{
    const json_t *amount = json_object_get(data, "amount_minor");
    const char *currency = json_string_value(json_object_get(data, "currency"));
    if (!amount)
        amount = json_object_get(data, "amount_due_minor");
    if (json_is_integer(amount) && currency)
        currency_add_amount(out, json_integer_value(amount), currency);
    else
        buf_add_str(out, "?");
}

static void add_place(struct buf *out, const char *name, const struct message *m,
                      const json_t *data)
{
    if (strcmp(name, "money") == 0)
        add_money_of(out, data);
    else if (strcmp(name, "tenant") == 0)
        add_short(out, m->tenant);
    else if (strcmp(name, "kind") == 0)
        for (const char *k = m->kind; *k; k++)
            buf_add_char(out, *k == '_' ? ' ' : *k);
    else
        mail_add_value(out, json_object_get(data, name));
}

void mail_fill(struct buf *out, const char *template, const struct message *m, const json_t *data)
{
    char name[NAME_SIZE];
    for (const char *at = template; *at; at++) {
        size_t length = *at == '{' ? strcspn(at + 1, "}") : NAME_SIZE;
        if (length >= NAME_SIZE) {
            buf_add_char(out, *at);
            continue;
        }
        memcpy(name, at + 1, length);
        name[length] = '\0';
        add_place(out, name, m, data);
        at += length + 1;
    }
}
