/* The verdict, by the table of cases that Lua and SQL are tested with, too. */
#include "common/str.h"
#include "common/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum column { STATUS, LIMIT, CAP, GRACE, USED, HELD, QUANTITY, NOW, VERDICT, REASON, COLUMNS };

static int index_of(const char *const names[3], const char *name)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(names[i], name))
            return i;
    fail_msg("%s is none of %s, %s, %s", name, names[0], names[1], names[2]);
    return -1;
}

static struct dec dec_of(const char *text)
{
    struct dec d = DEC_ZERO;
    assert_int_equal(dec_parse(text, strlen(text), &d), 0);
    return d;
}

static void check_case(char *const cell[COLUMNS])
{
    static const char *const STATUSES[] = {"active", "grace", "blocked"};
    static const char *const CAPS[] = {"none", "soft", "hard"};
    struct quota_state q = {.status = (enum quota_status)index_of(STATUSES, cell[STATUS]),
                            .has_limit = *cell[LIMIT],
                            .unlimited = !strcmp(cell[LIMIT], "unlimited"),
                            .cap = (enum quota_cap)index_of(CAPS, cell[CAP]),
                            .grace_until_ms = atoll(cell[GRACE]),
                            .used = dec_of(cell[USED]),
                            .held = dec_of(cell[HELD])};
    if (q.has_limit && !q.unlimited)
        q.limit = dec_of(cell[LIMIT]);
    enum verdict_reason reason;
    enum verdict verdict = verdict_of(&q, dec_of(cell[QUANTITY]), atoll(cell[NOW]), &reason);
    assert_string_equal(verdict_name(verdict), cell[VERDICT]);
    assert_string_equal(verdict_reason_name(reason), cell[REASON]);
}

static void every_case_of_the_table(void **state)
{
    char row[512];
    int rows = 0;
    FILE *file = fopen("tests/verdicts.csv", "r");
    (void)state;
    assert_non_null(file);
    assert_non_null(fgets(row, sizeof row, file)); /* the head */
    for (; fgets(row, sizeof row, file); rows++) {
        char *cell[COLUMNS], *rest = row;
        row[strcspn(row, "\n")] = '\0';
        print_message("%s\n", row);
        for (int i = 0; i < COLUMNS; i++)
            assert_non_null(cell[i] = strsep(&rest, ","));
        check_case(cell);
    }
    fclose(file);
    assert_true(rows > 30);
}

/* Sums that no numeric(38,9) holds are beyond every limit. */
static void sums_that_overflow(void **state)
{
    struct quota_state q = {.has_limit = true, .cap = CAP_HARD};
    enum verdict_reason reason;
    (void)state;
    q.limit = q.used = q.held = (struct dec){DEC_BOUND - 1};
    assert_int_equal(verdict_of(&q, DEC_ZERO, 0, &reason), VERDICT_DENY);
    assert_int_equal(reason, VERDICT_HARD_CAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_of_the_table),
        cmocka_unit_test(sums_that_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
