/* Each way in which Stripe does not do what was asked is one clear answer for the caller. */
#include "api/stripe/stripe_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    struct stripe_reply reply;
    int status;
    const char *code;
    const char *param;
} CASES[] = {
    {{.outcome = STRIPE_REFUSED,
      .status = 402,
      .type = "card_error",
      .code = "card_declined",
      .decline_code = "insufficient_funds",
      .message = "Your card has insufficient funds."},
     402,
     "insufficient_funds",
     NULL},
    {{.outcome = STRIPE_REFUSED,
      .status = 402,
      .type = "card_error",
      .code = "expired_card",
      .param = "exp_month",
      .message = "Your card has expired."},
     402,
     "expired_card",
     NULL},
    {{.outcome = STRIPE_REFUSED, .status = 402, .code = "authentication_required"},
     402,
     "authentication_required",
     NULL},
    {{.outcome = STRIPE_REFUSED,
      .status = 400,
      .code = "subscription_payment_intent_requires_action"},
     402,
     "authentication_required",
     NULL},
    {{.outcome = STRIPE_REFUSED,
      .status = 400,
      .code = "resource_missing",
      .message = "This customer has no attached payment source or default payment method. …"},
     402,
     "payment_method_required",
     NULL},
    {{.outcome = STRIPE_REFUSED,
      .status = 400,
      .code = "resource_missing",
      .param = "payment_method",
      .message = "No such PaymentMethod: 'pm_1'"},
     400,
     "resource_missing",
     "payment_method"},
    {{.outcome = STRIPE_REFUSED,
      .status = 400,
      .code = "email_invalid",
      .param = "email",
      .message = "Invalid email address: x"},
     400,
     "email_invalid",
     "email"},
    {{.outcome = STRIPE_REFUSED, .status = 400, .param = "items[0][quantity]"},
     400,
     "invalid",
     "seats"},
    {{.outcome = STRIPE_REFUSED,
      .status = 400,
      .param = "items[0][price]",
      .message = "You cannot combine currencies on a single customer."},
     409,
     "refused_by_stripe",
     NULL},
    {{.outcome = STRIPE_REFUSED,
      .status = 404,
      .code = "resource_missing",
      .param = "id",
      .message = "No such subscription: 'sub_1'"},
     409,
     "missing_at_stripe",
     NULL},
    {{.outcome = STRIPE_REFUSED, .status = 400, .type = "idempotency_error"},
     409,
     "idempotency_conflict",
     NULL},
    {{.outcome = STRIPE_REFUSED, .status = 403}, 502, "stripe_forbids", NULL},
    {{.outcome = STRIPE_AWAY, .status = 401}, 502, "stripe_key_refused", NULL},
    {{.outcome = STRIPE_AWAY, .status = 429, .retry_after_ms = 1500}, 503, "stripe_busy", NULL},
    {{.outcome = STRIPE_AWAY}, 503, "stripe_unavailable", NULL},
    {{.outcome = STRIPE_UNKNOWN}, 502, "stripe_no_answer", NULL},
    {{.outcome = STRIPE_UNKNOWN, .status = 500}, 502, "stripe_no_answer", NULL},
};

static void test_each_failure_is_a_clear_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct stripe_fault fault;
        stripe_fault_of(&fault, &CASES[i].reply);
        assert_int_equal(fault.status, CASES[i].status);
        assert_string_equal(fault.code, CASES[i].code);
        if (CASES[i].param)
            assert_string_equal(fault.param, CASES[i].param);
        else
            assert_null(fault.param);
        assert_true(strlen(fault.message) > 20 || CASES[i].reply.message || CASES[i].param);
        assert_int_equal(fault.retry_after_s > 0, CASES[i].reply.outcome == STRIPE_AWAY);
    }
}

/* Whatever Stripe says is cut to what fits, and stays UTF-8. */
static void test_long_messages_are_cut(void **state)
{
    (void)state;
    char message[1000];
    struct stripe_fault fault;
    for (size_t i = 0; i + 2 < sizeof message; i += 2)
        memcpy(message + i, "\xc3\xa4", 2);
    message[sizeof message - 2] = '\0';
    stripe_fault_of(&fault, &(struct stripe_reply){
                                .outcome = STRIPE_REFUSED, .status = 402, .message = message});
    assert_true(str_is_utf8(fault.message, strlen(fault.message)));
    assert_true(strlen(fault.message) < sizeof fault.message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_failure_is_a_clear_answer),
        cmocka_unit_test(test_long_messages_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
