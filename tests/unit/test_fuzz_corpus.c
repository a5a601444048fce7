/* Every input that a fuzzer found worth keeping still keeps every promise. */
#define FUZZ_REPLAY
#include "common/str.h"
#include "tests/fuzz/fuzz_dec.c"
#include "tests/fuzz/fuzz_entries.c"
#include "tests/fuzz/fuzz_event.c"
#include "tests/fuzz/fuzz_forms.c"
#include "tests/fuzz/fuzz_mail.c"
#include "tests/fuzz/fuzz_objects.c"
#include "tests/fuzz/fuzz_signature.c"
#include "tests/fuzz/fuzz_spool.c"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void replay_file(const char *path, void (*target)(const uint8_t *data, size_t size))
{
    FILE *file = fopen(path, "rb");
    struct buf bytes = {0};
    uint8_t *exact; /* so that the sanitizer sees the first byte beyond */
    int c;

    assert_non_null(file);
    while ((c = fgetc(file)) != EOF)
        buf_add_char(&bytes, (char)c);
    fclose(file);
    exact = xmalloc(bytes.length + (bytes.length == 0));
    if (bytes.length > 0)
        memcpy(exact, bytes.data, bytes.length);
    target(exact, bytes.length);
    free(exact);
    buf_done(&bytes);
}

/* From the top of the source tree, where make runs tests. */
static void replay_folder(const char *folder, void (*target)(const uint8_t *data, size_t size))
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    if (dir == NULL)
        fail_msg("%s cannot be read", folder);
    while ((entry = readdir(dir)) != NULL) {
        char *path;
        if (entry->d_name[0] == '.')
            continue;
        path = xasprintf("%s/%s", folder, entry->d_name);
        replay_file(path, target);
        free(path);
        count++;
    }
    closedir(dir);
    assert_true(count > 5);
}

static void events_keep_their_promises(void **state)
{
    /* An entry is an event within its bounds or a reason, and can be kept as JSON. */
    (void)state;
    replay_folder("tests/fuzz/corpus/event", fuzz_event);
}

static void replies_keep_their_promises(void **state)
{
    /* Whatever Redis sends, a reply is taken whole or not at all. */
    (void)state;
    replay_folder("tests/fuzz/corpus/entries", fuzz_entries);
}

static void decimals_keep_their_promises(void **state)
{
    /* A decimal that is taken in one form is the same number in each. */
    (void)state;
    replay_folder("tests/fuzz/corpus/dec", fuzz_dec);
}

static void webhooks_keep_their_promises(void **state)
{
    /* Whatever Stripe signs is read or refused, and what is read can be sent to PostgreSQL. */
    (void)state;
    replay_folder("tests/fuzz/corpus/objects", fuzz_objects);
}

static void signatures_keep_their_promises(void **state)
{
    /* A genuine signature counts, whatever stands before it, and nothing else does. */
    (void)state;
    replay_folder("tests/fuzz/corpus/signature", fuzz_signature);
}

static void mails_keep_their_promises(void **state)
{
    /* No value adds a header, a part or an element to a mail. */
    (void)state;
    replay_folder("tests/fuzz/corpus/mail", fuzz_mail);
}

static void forms_keep_their_promises(void **state)
{
    /* What a request brings is an event by the rules of the stream, or a reason. */
    (void)state;
    replay_folder("tests/fuzz/corpus/forms", fuzz_forms);
}

static void damaged_segments_keep_their_promises(void **state)
{
    /* What is read was written, and what was not damaged is read. */
    (void)state;
    replay_folder("tests/fuzz/corpus/spool", fuzz_spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_keep_their_promises),
        cmocka_unit_test(replies_keep_their_promises),
        cmocka_unit_test(decimals_keep_their_promises),
        cmocka_unit_test(mails_keep_their_promises),
        cmocka_unit_test(webhooks_keep_their_promises),
        cmocka_unit_test(signatures_keep_their_promises),
        cmocka_unit_test(forms_keep_their_promises),
        cmocka_unit_test(damaged_segments_keep_their_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
