/* From the end of a try to what becomes of the submission. */
#include "sink/send/settle_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define RECEIPT "{\"object\":\"billing.meter_event\",\"identifier\":\"ml-1\"}"
#define ERROR_OF(type, code, message)                                                              \
    "{\"error\":{\"type\":\"" type "\",\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define REFUSAL ERROR_OF("invalid_request_error", "resource_missing", "No meter found")
#define EXISTS                                                                                     \
    "{\"error\":{\"type\":\"invalid_request_error\",\"message\":"                                  \
    "\"An event already exists with identifier ml-1.\"}}"
#define KEY_REUSED                                                                                 \
    ERROR_OF("idempotency_error", "", "Keys for idempotent requests can only be used with the same")
#define KEY_IN_USE ERROR_OF("idempotency_error", "idempotency_key_in_use", "in progress")
#define LOCKED     ERROR_OF("invalid_request_error", "lock_timeout", "in use")
#define SERVER     ERROR_OF("api_error", "", "oops")
#define PAGE       "<html>Bad gateway</html>"

struct answer_case {
    int status;
    const char *body;
    const char *should_retry;
    bool sent_before;
    enum settle_state state;
    enum settle_peer peer;
    bool unsent;
};

static const struct usage USAGE = {.identifier = "ml-1"};

static struct settle_outcome judge(int status, const char *body, const char *should_retry,
                                   bool sent_before)
{
    struct settle_outcome o;
    const struct settle_try t = {.transport = &TRANSPORT_METER_EVENTS,
                                 .usage = &USAGE,
                                 .sent_before = sent_before,
                                 .status = status,
                                 .body = body,
                                 .body_length = strlen(body),
                                 .should_retry = should_retry};
    settle_rule_judge(&t, &o);
    return o;
}

static void check(const struct answer_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct answer_case *c = &cases[i];
        struct settle_outcome o = judge(c->status, c->body, c->should_retry, c->sent_before);
        if (o.state != c->state || o.peer != c->peer || o.unsent != c->unsent)
            fail_msg("case %zu (%d %s): state %d peer %d unsent %d", i, c->status, c->body,
                     (int)o.state, (int)o.peer, o.unsent);
        assert_int_equal(o.error.kind == ERR_NONE, o.state == SETTLE_SENT);
        assert_non_null(o.label);
    }
}

static void only_a_receipt_is_sent(void **state)
{
    /* A 2xx settles if its body is Stripe's own; anything else with 2xx tells nothing. */
    (void)state;
    static const struct answer_case CASES[] = {
        {200, RECEIPT, NULL, false, SETTLE_SENT, SETTLE_PEER_WORKS, false},
        {200, RECEIPT, NULL, true, SETTLE_SENT, SETTLE_PEER_WORKS, false},
        {201, RECEIPT, NULL, false, SETTLE_SENT, SETTLE_PEER_WORKS, false},
        {200, PAGE, NULL, false, SETTLE_RETRY, SETTLE_PEER_UNSURE, false},
        {204, "", NULL, false, SETTLE_RETRY, SETTLE_PEER_UNSURE, false},
        {200, "{}", NULL, true, SETTLE_RETRY, SETTLE_PEER_UNSURE, false},
    };
    check(CASES, sizeof CASES / sizeof *CASES);
}

static void already_exists_is_ours_only_if_we_had_sent_it(void **state)
{
    /* On the very first try somebody else sent it: before a restore of the database. */
    (void)state;
    static const struct answer_case CASES[] = {
        {400, EXISTS, NULL, true, SETTLE_SENT, SETTLE_PEER_WORKS, false},
        {400, EXISTS, NULL, false, SETTLE_IN_DOUBT, SETTLE_PEER_WORKS, false},
        {400, EXISTS, "false", true, SETTLE_SENT, SETTLE_PEER_WORKS, false},
        {404, EXISTS, NULL, true, SETTLE_FAILED, SETTLE_PEER_WORKS, true},
        {400, KEY_REUSED, NULL, false, SETTLE_IN_DOUBT, SETTLE_PEER_WORKS, false},
        {400, KEY_REUSED, NULL, true, SETTLE_IN_DOUBT, SETTLE_PEER_WORKS, false},
    };
    check(CASES, sizeof CASES / sizeof *CASES);
}

static void refusals_of_stripes_own_are_final(void **state)
{
    /* Other 4xx wait for a person, unless Stripe says to try again or it was not Stripe who spoke.
     */
    (void)state;
    static const struct answer_case CASES[] = {
        {400, REFUSAL, NULL, false, SETTLE_FAILED, SETTLE_PEER_WORKS, true},
        {402, REFUSAL, NULL, false, SETTLE_FAILED, SETTLE_PEER_WORKS, true},
        {404, REFUSAL, "false", true, SETTLE_FAILED, SETTLE_PEER_WORKS, true},
        {400, REFUSAL, "true", false, SETTLE_RETRY, SETTLE_PEER_WORKS, true},
        {400, ERROR_OF("invalid_request_error", "timestamp_in_future", "x"), NULL, false,
         SETTLE_RETRY, SETTLE_PEER_WORKS, true},
        {400, PAGE, NULL, false, SETTLE_RETRY, SETTLE_PEER_UNSURE, false},
        {404, "", NULL, false, SETTLE_RETRY, SETTLE_PEER_UNSURE, false},
        {404, "{\"error\":\"no\"}", NULL, false, SETTLE_RETRY, SETTLE_PEER_UNSURE, false},
        {302, "", NULL, false, SETTLE_RETRY, SETTLE_PEER_UNSURE, false},
        {302, REFUSAL, NULL, false, SETTLE_RETRY, SETTLE_PEER_UNSURE, false},
    };
    check(CASES, sizeof CASES / sizeof *CASES);
}

static void a_refused_batch_tells_nothing_of_an_earlier_one(void **state)
{
    /* What may have been taken before is neither failed nor late: that would be billed again. A
     * call of one has its key, so that its refusal is certain. */
    (void)state;
    static const char OLD[] = ERROR_OF("invalid_request_error", "timestamp_too_far_in_past", "x");
    static const struct {
        const struct transport *transport;
        const char *body;
        bool sent_before;
        enum settle_state state;
    } CASES[] = {
        {&TRANSPORT_METER_EVENT_STREAM, REFUSAL, true, SETTLE_IN_DOUBT},
        {&TRANSPORT_METER_EVENT_STREAM, OLD, true, SETTLE_IN_DOUBT},
        {&TRANSPORT_METER_EVENT_STREAM, REFUSAL, false, SETTLE_FAILED},
        {&TRANSPORT_METER_EVENT_STREAM, OLD, false, SETTLE_LATE},
        {&TRANSPORT_METER_EVENTS, REFUSAL, true, SETTLE_FAILED},
        {&TRANSPORT_METER_EVENTS, OLD, true, SETTLE_LATE},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct settle_outcome o;
        const struct settle_try t = {.transport = CASES[i].transport,
                                     .usage = &USAGE,
                                     .sent_before = CASES[i].sent_before,
                                     .status = 400,
                                     .body = CASES[i].body,
                                     .body_length = strlen(CASES[i].body)};
        settle_rule_judge(&t, &o);
        assert_int_equal(o.state, CASES[i].state);
        assert_true(o.unsent && o.of_one);
    }
}

static void what_stripe_knew_before_is_told(void **state)
{
    /* It holds that under another body: its minute may be empty, and it is not claimed anew. */
    (void)state;
    assert_true(judge(400, EXISTS, NULL, false).known);
    assert_true(judge(400, KEY_REUSED, NULL, false).known);
    assert_true(judge(400, KEY_REUSED, NULL, true).known);
    assert_true(judge(409, KEY_IN_USE, "false", false).known);
    assert_false(judge(409, KEY_IN_USE, "false", true).known);
    assert_false(judge(409, LOCKED, "false", false).known);
    assert_false(judge(400, EXISTS, NULL, true).known);
    assert_false(judge(500, SERVER, "false", true).known);
}

static struct settle_outcome judge_by(const struct transport *transport, int status,
                                      const char *body)
{
    struct settle_outcome o;
    const struct settle_try t = {.transport = transport,
                                 .usage = &USAGE,
                                 .status = status,
                                 .body = body,
                                 .body_length = strlen(body)};
    settle_rule_judge(&t, &o);
    return o;
}

static void what_comes_too_late_for_its_period_waits_for_a_person(void **state)
{
    /* By Stripe's code, or by its words where there is no code; each in its own transport only. */
    (void)state;
#define OLD ERROR_OF("invalid_request_error", "timestamp_too_far_in_past", "x")
#define OVER                                                                                       \
    ERROR_OF("invalid_request_error", "",                                                          \
             "Cannot create the usage record with this "                                           \
             "timestamp because timestamps must be after the subscription's last "                 \
             "invoice period (or current period start time).")
#define ENDED                                                                                      \
    ERROR_OF("invalid_request_error", "",                                                          \
             "Cannot create the usage record because the "                                         \
             "subscription has been canceled.")
    static const struct {
        const struct transport *transport;
        int status;
        const char *body;
        enum settle_state state;
    } CASES[] = {
        {&TRANSPORT_METER_EVENTS, 400, OLD, SETTLE_LATE},
        {&TRANSPORT_METER_EVENTS, 400, OVER, SETTLE_FAILED},
        {&TRANSPORT_USAGE_RECORDS, 400, OVER, SETTLE_LATE},
        {&TRANSPORT_USAGE_RECORDS, 400, ENDED, SETTLE_LATE},
        {&TRANSPORT_USAGE_RECORDS, 404, ENDED, SETTLE_FAILED},
        {&TRANSPORT_USAGE_RECORDS, 400, REFUSAL, SETTLE_FAILED},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct settle_outcome o = judge_by(CASES[i].transport, CASES[i].status, CASES[i].body);
        assert_int_equal(o.state, CASES[i].state);
        assert_true(o.unsent && o.of_one);
        assert_int_equal(o.peer, SETTLE_PEER_WORKS);
    }
}

static void a_minute_ahead_of_stripes_clock_mends_itself(void **state)
{
    /* Usage records have words for it and no code. */
    (void)state;
    struct settle_outcome o =
        judge_by(&TRANSPORT_USAGE_RECORDS, 400,
                 "{\"error\":{\"type\":\"invalid_request_error\",\"param\":\"timestamp\","
                 "\"message\":\"timestamps must not be in the future.\"}}");
    assert_int_equal(o.state, SETTLE_RETRY);
    assert_true(o.unsent);
    assert_false(o.of_one);
}

static void a_wrong_address_is_not_the_submissions_fault(void **state)
{
    /* All of them would fail for it: they wait until it is put right. */
    (void)state;
    struct settle_outcome o =
        judge_by(&TRANSPORT_METER_EVENTS, 404,
                 ERROR_OF("invalid_request_error", "", "Unrecognized request URL (POST: /v9)."));
    assert_int_equal(o.state, SETTLE_RETRY);
    assert_string_equal(o.label, "unknown_url");
    assert_true(o.unsent);
}

static void a_session_that_passed_is_no_refusal_of_the_account(void **state)
{
    /* Of the stream alone; any other 401 there is one. */
    (void)state;
#define PASSED_BY_CODE ERROR_OF("x", "billing_meter_event_session_expired", "y")
#define PASSED_BY_TYPE ERROR_OF("temporary_session_expired", "x", "y")
    static const struct {
        const struct transport *transport;
        const char *body;
        enum settle_peer peer;
    } CASES[] = {
        {&TRANSPORT_METER_EVENT_STREAM, PASSED_BY_CODE, SETTLE_PEER_WORKS},
        {&TRANSPORT_METER_EVENT_STREAM, PASSED_BY_TYPE, SETTLE_PEER_WORKS},
        {&TRANSPORT_METER_EVENT_STREAM, REFUSAL, SETTLE_PEER_REFUSES},
        {&TRANSPORT_METER_EVENTS, PASSED_BY_TYPE, SETTLE_PEER_REFUSES},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct settle_outcome o = judge_by(CASES[i].transport, 401, CASES[i].body);
        assert_int_equal(o.state, SETTLE_RETRY);
        assert_int_equal(o.peer, CASES[i].peer);
        assert_true(o.unsent);
    }
}

static void a_meters_fault_is_not_the_submissions(void **state)
{
    /* All of that event name would fail for it: they wait until the meter is as it should be. Which
     * one of a batch it is, is found by halving it. */
    (void)state;
#define OF_PARAM(name)                                                                             \
    "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"resource_missing\",\"param\":"      \
    "\"" name "\",\"message\":\"No active meter\"}}"
    static const struct {
        const char *body;
        bool meter;
    } CASES[] = {
        {OF_PARAM("event_name"), true},
        {OF_PARAM("payload[stripe_customer_id]"), false},
        {ERROR_OF("invalid_request_error", "no_meter", "x"), true},
        {ERROR_OF("invalid_request_error", "archived_meter", "x"), true},
        {ERROR_OF("invalid_request_error", "meter_event_no_customer_defined", "x"), true},
        {ERROR_OF("invalid_request_error", "meter_event_value_not_found", "x"), true},
        {ERROR_OF("invalid_request_error", "meter_event_customer_not_found", "x"), false},
        {REFUSAL, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct settle_outcome o = judge(400, CASES[i].body, NULL, true);
        assert_int_equal(o.meter, CASES[i].meter);
        assert_int_equal(o.state, CASES[i].meter ? SETTLE_RETRY : SETTLE_FAILED);
        assert_true(o.unsent && o.of_one);
    }
}

static void only_a_refusal_of_one_makes_halves(void **state)
{
    /* What concerns all of a call alike would not be mended by them, and of a conflict they would
     * be sent again while Stripe may be taking them. */
    (void)state;
    assert_false(judge(409, KEY_IN_USE, "false", false).of_one);
    static const struct {
        int status;
        const char *body;
        bool of_one;
    } CASES[] = {
        {400, REFUSAL, true}, {400, EXISTS, true},      {402, REFUSAL, true},
        {404, REFUSAL, true}, {200, "{}", false},       {401, REFUSAL, false},
        {409, SERVER, false}, {429, REFUSAL, false},    {500, SERVER, false},
        {400, PAGE, false},   {400, KEY_REUSED, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(
            judge_by(&TRANSPORT_METER_EVENT_STREAM, CASES[i].status, CASES[i].body).of_one,
            CASES[i].of_one);
}

static void the_limits_reason_is_told(void **state)
{
    /* Stripe-Rate-Limited-Reason stands in the error that is kept and logged. */
    (void)state;
    struct settle_outcome o;
    const struct settle_try t = {.transport = &TRANSPORT_METER_EVENTS,
                                 .usage = &USAGE,
                                 .status = 429,
                                 .body = REFUSAL,
                                 .body_length = strlen(REFUSAL),
                                 .limited_reason = "global-rate"};
    settle_rule_judge(&t, &o);
    assert_string_equal(o.error.text, "HTTP 429 global-rate: No meter found");
}

static void what_may_pass_is_tried_again(void **state)
{
    /* 409, 429 and 5xx, with any body; Stripe-Should-Retry: false leaves 409 and 5xx in doubt. */
    (void)state;
    static const struct answer_case CASES[] = {
        {409, KEY_IN_USE, NULL, true, SETTLE_RETRY, SETTLE_PEER_WORKS, false},
        {409, KEY_IN_USE, "false", true, SETTLE_IN_DOUBT, SETTLE_PEER_WORKS, false},
        {409, KEY_IN_USE, "false", false, SETTLE_IN_DOUBT, SETTLE_PEER_WORKS, false},
        {409, LOCKED, "false", false, SETTLE_IN_DOUBT, SETTLE_PEER_WORKS, false},
        {429, REFUSAL, NULL, false, SETTLE_RETRY, SETTLE_PEER_WORKS, true},
        {429, REFUSAL, "false", false, SETTLE_RETRY, SETTLE_PEER_WORKS, true},
        {429, PAGE, NULL, false, SETTLE_RETRY, SETTLE_PEER_WORKS, true},
        {500, SERVER, NULL, false, SETTLE_RETRY, SETTLE_PEER_WORKS, false},
        {500, SERVER, "true", false, SETTLE_RETRY, SETTLE_PEER_WORKS, false},
        {500, SERVER, "false", false, SETTLE_IN_DOUBT, SETTLE_PEER_WORKS, false},
        {502, PAGE, NULL, false, SETTLE_RETRY, SETTLE_PEER_WORKS, false},
        {503, "", NULL, true, SETTLE_RETRY, SETTLE_PEER_WORKS, false},
        {504, "\xff", NULL, true, SETTLE_RETRY, SETTLE_PEER_WORKS, false},
    };
    check(CASES, sizeof CASES / sizeof *CASES);
}

static void a_stored_failure_is_in_doubt_at_once(void **state)
{
    /* Stripe gives it again for this key until it forgets it: trying again only keeps the lane. To
     * our first writing it answers so if the database was restored, and had sent it before. */
    (void)state;
    static const struct {
        int status;
        const char *replayed;
        bool sent_before;
        bool repeated;
        enum settle_state state;
        bool known;
    } CASES[] = {{500, "true", true, false, SETTLE_IN_DOUBT, false},
                 {503, "True", true, false, SETTLE_IN_DOUBT, false},
                 {500, "true", false, true, SETTLE_IN_DOUBT, false},
                 {500, "true", false, false, SETTLE_IN_DOUBT, true},
                 {500, "false", true, false, SETTLE_RETRY, false},
                 {500, NULL, true, false, SETTLE_RETRY, false},
                 {429, "true", true, false, SETTLE_RETRY, false}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct settle_outcome o;
        const struct settle_try t = {.transport = &TRANSPORT_METER_EVENTS,
                                     .usage = &USAGE,
                                     .sent_before = CASES[i].sent_before,
                                     .repeated = CASES[i].repeated,
                                     .status = CASES[i].status,
                                     .body = SERVER,
                                     .body_length = strlen(SERVER),
                                     .should_retry = "true",
                                     .replayed = CASES[i].replayed};
        settle_rule_judge(&t, &o);
        assert_int_equal(o.state, CASES[i].state);
        assert_int_equal(o.known, CASES[i].known);
        assert_int_equal(o.peer, SETTLE_PEER_WORKS);
    }
}

static void a_stored_refusal_that_may_pass_needs_another_key(void **state)
{
    /* It tells nothing of today, and nothing was taken under that key. One that is final is so, and
     * what may have been taken keeps its key. */
    (void)state;
#define FUTURE ERROR_OF("invalid_request_error", "timestamp_in_future", "x")
#define METER  ERROR_OF("invalid_request_error", "no_meter", "x")
    static const struct {
        int status;
        const char *body;
        const char *replayed;
        const char *should_retry;
        bool spent;
    } CASES[] = {
        {400, METER, "true", NULL, true},       {400, METER, "True", NULL, true},
        {400, METER, NULL, NULL, false},        {400, METER, "false", NULL, false},
        {400, FUTURE, "true", NULL, true},      {400, REFUSAL, "true", "true", true},
        {400, REFUSAL, "true", NULL, false},    {400, KEY_REUSED, "true", NULL, false},
        {409, KEY_IN_USE, "true", NULL, false}, {500, SERVER, "true", NULL, false},
        {429, SERVER, "true", NULL, false},     {401, REFUSAL, "true", NULL, false},
        {400, PAGE, "true", NULL, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct settle_outcome o;
        const struct settle_try t = {.transport = &TRANSPORT_METER_EVENTS,
                                     .usage = &USAGE,
                                     .sent_before = true,
                                     .status = CASES[i].status,
                                     .body = CASES[i].body,
                                     .body_length = strlen(CASES[i].body),
                                     .should_retry = CASES[i].should_retry,
                                     .replayed = CASES[i].replayed};
        settle_rule_judge(&t, &o);
        if (o.key_spent != CASES[i].spent)
            fail_msg("case %zu: spent %d", i, o.key_spent);
        if (o.key_spent)
            assert_true(o.state == SETTLE_RETRY && o.unsent &&
                        strstr(o.error.text, "the next try has another"));
    }
}

static void a_refused_key_is_not_the_submissions_fault(void **state)
{
    /* 401 and 403 stop everything; if Stripe itself said it, nothing was applied. */
    (void)state;
    static const struct answer_case CASES[] = {
        {401, REFUSAL, NULL, false, SETTLE_RETRY, SETTLE_PEER_REFUSES, true},
        {403, REFUSAL, "false", true, SETTLE_RETRY, SETTLE_PEER_REFUSES, true},
        {403, PAGE, NULL, false, SETTLE_RETRY, SETTLE_PEER_REFUSES, false},
    };
    check(CASES, sizeof CASES / sizeof *CASES);
}

static void without_an_answer_it_counts_whether_it_was_sent(void **state)
{
    /* No connection and no TLS: surely not sent. All others: unknown, the same bytes again. */
    (void)state;
    static const struct {
        enum err_kind kind;
        enum settle_peer peer;
        bool unsent;
    } CASES[] = {
        {ERR_CONNECT, SETTLE_PEER_AWAY, true},   {ERR_TLS, SETTLE_PEER_AWAY, true},
        {ERR_INPUT, SETTLE_PEER_AWAY, true},     {ERR_TIMEOUT, SETTLE_PEER_UNSURE, false},
        {ERR_CLOSED, SETTLE_PEER_UNSURE, false}, {ERR_CANCELED, SETTLE_PEER_UNSURE, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct err e;
        struct settle_outcome o;
        err_set(&e, CASES[i].kind, "it failed");
        const struct settle_try t = {.transport = &TRANSPORT_METER_EVENTS, .error = &e};
        settle_rule_judge(&t, &o);
        assert_int_equal(o.state, SETTLE_RETRY);
        assert_int_equal(o.peer, CASES[i].peer);
        assert_int_equal(o.unsent, CASES[i].unsent);
        assert_string_equal(o.label, err_kind_name(CASES[i].kind));
        assert_string_equal(o.error.text, "it failed");
    }
}

static void only_the_accounts_rate_slows_the_sink(void **state)
{
    /* A 429 for one customer and meter, or for a lock, says nothing of the others. */
    (void)state;
    static const struct {
        const char *reason;
        const char *code;
        bool slow;
    } CASES[] = {
        {NULL, "rate_limit", true},
        {"global-rate", "rate_limit", true},
        {"global-concurrency", "rate_limit", true},
        {"endpoint-rate", "rate_limit", true},
        {"endpoint-concurrency", "rate_limit", false},
        {"resource-specific", "rate_limit", false},
        {NULL, "lock_timeout", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char body[128];
        struct settle_outcome o;
        int n = snprintf(body, sizeof body, "{\"error\":{\"type\":\"x\",\"code\":\"%s\"}}",
                         CASES[i].code);
        const struct settle_try t = {.transport = &TRANSPORT_METER_EVENTS,
                                     .usage = &USAGE,
                                     .status = 429,
                                     .body = body,
                                     .body_length = (size_t)n,
                                     .limited_reason = CASES[i].reason};
        settle_rule_judge(&t, &o);
        assert_int_equal(o.slow_down, CASES[i].slow);
    }
}

static void retry_after_is_honoured_in_seconds_up_to_an_hour(void **state)
{
    /* Anything that is no whole number of seconds is left aside. */
    (void)state;
    static const struct {
        const char *header;
        int64_t wait_ms;
    } CASES[] = {{NULL, 0},
                 {"7", 7000},
                 {"0", 0},
                 {"3601", 3600000},
                 {"99999999999", 3600000},
                 {"-5", 0},
                 {"soon", 0},
                 {"", 0},
                 {"Sat, 21 Nov 2026 09:00:00 GMT", 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct settle_outcome o;
        const struct settle_try t = {.transport = &TRANSPORT_METER_EVENTS,
                                     .usage = &USAGE,
                                     .status = 503,
                                     .body = "",
                                     .retry_after = CASES[i].header};
        settle_rule_judge(&t, &o);
        assert_int_equal(o.retry_after_ms, CASES[i].wait_ms);
    }
}

static void states_have_the_names_of_the_table(void **state)
{
    /* As in the check of usage_submissions.state. */
    (void)state;
    assert_string_equal(settle_state_name(SETTLE_SENT), "sent");
    assert_string_equal(settle_state_name(SETTLE_RETRY), "pending");
    assert_string_equal(settle_state_name(SETTLE_IN_DOUBT), "in_doubt");
    assert_string_equal(settle_state_name(SETTLE_FAILED), "failed");
    assert_string_equal(settle_state_name(SETTLE_LATE), "late");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_receipt_is_sent),
        cmocka_unit_test(already_exists_is_ours_only_if_we_had_sent_it),
        cmocka_unit_test(refusals_of_stripes_own_are_final),
        cmocka_unit_test(a_refused_batch_tells_nothing_of_an_earlier_one),
        cmocka_unit_test(what_stripe_knew_before_is_told),
        cmocka_unit_test(what_comes_too_late_for_its_period_waits_for_a_person),
        cmocka_unit_test(a_minute_ahead_of_stripes_clock_mends_itself),
        cmocka_unit_test(a_wrong_address_is_not_the_submissions_fault),
        cmocka_unit_test(a_session_that_passed_is_no_refusal_of_the_account),
        cmocka_unit_test(a_meters_fault_is_not_the_submissions),
        cmocka_unit_test(only_a_refusal_of_one_makes_halves),
        cmocka_unit_test(the_limits_reason_is_told),
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(a_stored_failure_is_in_doubt_at_once),
        cmocka_unit_test(a_stored_refusal_that_may_pass_needs_another_key),
        cmocka_unit_test(a_refused_key_is_not_the_submissions_fault),
        cmocka_unit_test(without_an_answer_it_counts_whether_it_was_sent),
        cmocka_unit_test(only_the_accounts_rate_slows_the_sink),
        cmocka_unit_test(retry_after_is_honoured_in_seconds_up_to_an_hour),
        cmocka_unit_test(states_have_the_names_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
