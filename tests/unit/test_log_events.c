/* The table of all log events, and their reference, docs/logs.md, which is made of it. */
#include "common/log_events.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/reference.h" /* after cmocka.h: it asserts */

static const char HEAD[] =
    "# Log events\n"
    "\n"
    "Each program writes its log to stderr, a line an event: `ts`, `level`, `stage` and `event`, "
    "then the event's own fields,\n"
    "as logfmt or as JSON (`LOG_FORMAT`). A failure that repeats is logged at once, then once a "
    "minute with the number of lines\n"
    "held back, and once more when it is over. This page is made of the table in the code, "
    "`common/log_events.h`, by `make docs`.\n";

static const struct {
    const char *word; /* in the table */
    const char *title;
} STAGES[] = {{"all", "Every stage"}, {"emitter", "Emitter"},   {"aggregator", "Aggregator"},
              {"sink", "Sink"},       {"webhookd", "Webhookd"}, {"notifier", "Notifier"},
              {"api", "Api"}};

enum { STAGE_COUNT = sizeof STAGES / sizeof STAGES[0] };

/* Whether words, which have a space between them, has this one. */
static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        if (n == length && memcmp(at, word, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static void add_reference(struct buf *out)
{
    buf_add_str(out, HEAD);
    for (int k = 0; k < STAGE_COUNT; k++) {
        buf_printf(out, "\n## %s\n\n| event | what it tells |\n|---|---|\n", STAGES[k].title);
        for (int i = 0; i < LOG_EVENT_COUNT; i++)
            if (has_word(LOG_EVENTS[i].stages, STAGES[k].word))
                buf_printf(out, "| `%s` | %s |\n", LOG_EVENTS[i].name, LOG_EVENTS[i].meaning);
    }
}

static void the_reference_is_current(void **state)
{
    /* `make docs` writes it. */
    (void)state;
    assert_reference_is_current("docs/logs.md", add_reference);
}

static void each_event_has_a_meaning(void **state)
{
    /* Whole sentences, which fit in a cell of a table. */
    (void)state;
    for (int i = 0; i < LOG_EVENT_COUNT; i++) {
        const char *meaning = LOG_EVENTS[i].meaning;
        if (!isupper((unsigned char)meaning[0]) && meaning[0] != '`')
            fail_msg("%s: its meaning is no sentence", LOG_EVENTS[i].name);
        assert_int_equal(meaning[strlen(meaning) - 1], '.');
        assert_null(strpbrk(meaning, "\n|"));
    }
}

static void each_event_is_of_known_stages(void **state)
{
    /* "all", or some stages, each once. */
    (void)state;
    for (int i = 0; i < LOG_EVENT_COUNT; i++) {
        const char *stages = LOG_EVENTS[i].stages;
        size_t length = 0;
        for (int k = 0; k < STAGE_COUNT; k++)
            if (has_word(stages, STAGES[k].word))
                length += strlen(STAGES[k].word) + (length > 0);
        assert_int_equal(length, strlen(stages));
        assert_true(length > 0);
        assert_true(!has_word(stages, "all") || strcmp(stages, "all") == 0);
    }
}

/* English past tenses without "ed", and the few events that tell what is the case from now on. */
static bool is_past_word(const char *word)
{
    static const char WORDS[] =
        " back behind broken caught cut done draining durable found foreign gave held in kept "
        "listening lost read rebuilt rewritten shrunk stuck unfit unknown unsure "
        "volatile weak ";
    char wanted[64];
    size_t length = strlen(word);
    snprintf(wanted, sizeof wanted, " %s ", word);
    return (length > 2 && strcmp(word + length - 2, "ed") == 0) || strstr(WORDS, wanted);
}

static void names_are_past_tenses(void **state)
{
    /* snake_case, and what happened rather than what is to be done. */
    (void)state;
    for (int i = 0; i < LOG_EVENT_COUNT; i++) {
        const char *name = LOG_EVENTS[i].name;
        char words[64];
        char *rest = words;
        bool past = false;
        assert_true(islower((unsigned char)name[0]));
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        assert_null(strstr(name, "__"));
        snprintf(words, sizeof words, "%s", name);
        for (char *word; (word = strsep(&rest, "_"));)
            past |= is_past_word(word);
        if (!past)
            fail_msg("%s is no past tense", name);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(name, LOG_EVENTS[k].name);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_is_current),
        cmocka_unit_test(each_event_has_a_meaning),
        cmocka_unit_test(each_event_is_of_known_stages),
        cmocka_unit_test(names_are_past_tenses),
    };
    if (print_reference(argc, argv, add_reference))
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
