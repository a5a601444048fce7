/* Which events are worked before others: the rule as a table. */
#include "common/str.h"
#include "webhookd/receive/priority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ITEM(price, quantity, end)                                                                 \
    "{\"id\":\"si_1\",\"price\":{\"id\":\"" price "\"},\"quantity\":" quantity                     \
    ",\"current_period_end\":" end "}"
#define ITEMS(item) "\"items\":{\"data\":[" item "]}"
#define ACTIVE      "\"id\":\"sub_1\",\"customer\":\"cus_1\",\"status\":\"active\""

static const struct {
    const char *type;
    const char *object;   /* members */
    const char *previous; /* members */
    const char *customer;
    enum priority priority;
} ROWS[] = {
    {"customer.subscription.created", ACTIVE, "", "cus_1", PRIORITY_BEGINS},
    {"customer.subscription.created", "\"id\":\"sub_1\",\"status\":\"incomplete\"", "", NULL,
     PRIORITY_OTHER},
    {"customer.subscription.updated", ACTIVE, "\"status\":\"past_due\"", "cus_1",
     PRIORITY_UNBLOCKS},
    {"customer.subscription.updated", ACTIVE, "\"status\":\"unpaid\"", "cus_1", PRIORITY_UNBLOCKS},
    {"customer.subscription.updated", ACTIVE, "\"status\":\"trialing\"", "cus_1", PRIORITY_OTHER},
    {"customer.subscription.updated", "\"id\":\"sub_1\",\"status\":\"past_due\"",
     "\"status\":\"active\"", NULL, PRIORITY_OTHER},
    {"customer.subscription.resumed", ACTIVE, "", "cus_1", PRIORITY_UNBLOCKS},
    {"customer.subscription.deleted", "\"id\":\"sub_1\",\"status\":\"canceled\"", "", NULL,
     PRIORITY_OTHER},
    {"customer.subscription.updated", ACTIVE, "\"pause_collection\":{\"behavior\":\"void\"}",
     "cus_1", PRIORITY_UNBLOCKS},
    /* A renewal, in the old shape and in the new one; then an upgrade, and more seats. */
    {"customer.subscription.updated", ACTIVE, "\"current_period_end\":5", "cus_1", PRIORITY_OTHER},
    {"customer.subscription.updated", ACTIVE "," ITEMS(ITEM("price_1", "1", "9")),
     ITEMS(ITEM("price_1", "1", "5")), "cus_1", PRIORITY_OTHER},
    {"customer.subscription.updated", ACTIVE "," ITEMS(ITEM("price_2", "1", "5")),
     ITEMS(ITEM("price_1", "1", "5")), "cus_1", PRIORITY_BEGINS},
    {"customer.subscription.updated", ACTIVE "," ITEMS(ITEM("price_1", "3", "5")),
     ITEMS(ITEM("price_1", "1", "5")), "cus_1", PRIORITY_BEGINS},
    {"customer.subscription.updated",
     ACTIVE "," ITEMS(ITEM("price_1", "1", "5") "," ITEM("price_2", "1", "5")),
     ITEMS(ITEM("price_1", "1", "5")), "cus_1", PRIORITY_BEGINS},
    {"customer.subscription.updated", ACTIVE, "\"items\":7", "cus_1", PRIORITY_OTHER},
    {"checkout.session.completed", "\"id\":\"cs_1\",\"customer\":{\"id\":\"cus_2\"}", "", "cus_2",
     PRIORITY_BEGINS},
    {"customer.updated", "\"id\":\"cus_3\"", "", "cus_3", PRIORITY_OTHER},
    {"customer.source.created", "\"id\":\"card_1\"", "", NULL, PRIORITY_OTHER},
    {"invoice.paid", "\"id\":\"in_1\",\"customer\":\"cus_1\"", "", "cus_1", PRIORITY_OTHER},
    {"invoice.paid", "\"id\":\"in_1\",\"customer\":\"cus/1\"", "", NULL, PRIORITY_OTHER},
    {"refund.created", "\"id\":\"re_1\"", "", NULL, PRIORITY_OTHER},
};

static struct stripe_event must_parse(const char *text)
{
    struct stripe_event event;
    struct err e;
    assert_int_equal(stripe_event_parse(text, strlen(text), &event, &e), 0);
    return event;
}

static void test_snapshots(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char *text = xasprintf("{\"id\":\"evt_1\",\"type\":\"%s\",\"created\":5,\"data\":{"
                               "\"object\":{%s},\"previous_attributes\":{%s}}}",
                               ROWS[i].type, ROWS[i].object, ROWS[i].previous);
        struct stripe_event event = must_parse(text);
        const char *customer = event_customer(&event);
        if (event_priority(&event) != ROWS[i].priority ||
            (customer ? !ROWS[i].customer || strcmp(customer, ROWS[i].customer) != 0
                      : ROWS[i].customer != NULL))
            fail_msg("row %zu: %s of %s", i, ROWS[i].type, customer ? customer : "nobody");
        stripe_event_done(&event);
        free(text);
    }
}

static void test_thin_events_are_known_by_their_type(void **state)
{
    (void)state;
    struct stripe_event event =
        must_parse("{\"id\":\"evt_1\",\"type\":\"v1.customer.subscription.updated\",\"created\":"
                   "\"2026-11-21T06:41:10Z\",\"related_object\":{\"id\":\"sub_1\"}}");
    assert_int_equal(event_priority(&event), PRIORITY_BEGINS);
    assert_null(event_customer(&event));
    stripe_event_done(&event);
    event = must_parse("{\"id\":\"evt_1\",\"type\":\"v1.customer.updated\",\"created\":"
                       "\"2026-11-21T06:41:10Z\",\"related_object\":{\"id\":\"cus_1\"}}");
    assert_int_equal(event_priority(&event), PRIORITY_OTHER);
    assert_string_equal(event_customer(&event), "cus_1");
    stripe_event_done(&event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_thin_events_are_known_by_their_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
