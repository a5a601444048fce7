/* When an id was made, as it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregator/batch/event_id.h"
#include "common/str.h"

#include <stdlib.h>

#define ASSERT_TIME(id, ms) assert_int_equal(id_time_ms(TEXT(id)), ms)
#define ASSERT_NONE(id)     ASSERT_TIME(id, ID_TIME_NONE)

static void uuids_of_version_7(void **state)
{
    /* The example of RFC 9562, appendix A.6; any case, with hyphens or without. */
    (void)state;
    char made[UUID_TEXT_SIZE];

    ASSERT_TIME("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", 1645557742000);
    ASSERT_TIME("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", 1645557742000);
    ASSERT_TIME("017f22e279b07cc398c4dc0c0c07398f", 1645557742000);
    uuid_v7(1795000000123, made);
    assert_int_equal(id_time_ms((struct text){.data = made, .length = UUID_TEXT_SIZE - 1}),
                     1795000000123);
    ASSERT_NONE("017f22e2-79b0-4cc3-98c4-dc0c0c07398f"); /* version 4 */
    ASSERT_NONE("017f22e2-79b0-7cc3-c8c4-dc0c0c07398f"); /* another variant */
    ASSERT_NONE("017f22e2-79b0-7cc3-78c4-dc0c0c07398f");
    ASSERT_NONE("017g22e2-79b0-7cc3-98c4-dc0c0c07398f");
    ASSERT_NONE("017f22e2-7/b0-7cc3-98c4-dc0c0c07398f");
    ASSERT_NONE("017f22e2+79b0-7cc3-98c4-dc0c0c07398f");
    ASSERT_NONE("017f22e2-79b0-7cc3-98c4-dc0c0c07398");
    ASSERT_NONE("017f22e279b04cc398c4dc0c0c07398f");
}

static void ulids(void **state)
{
    /* The example of the specification; a TypeID has the same digits, of a UUIDv7. */
    (void)state;
    ASSERT_TIME("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850259);
    ASSERT_TIME("01arz3ndektsv4rrffq69g5fav", 1469922850259);
    ASSERT_TIME("01h455vb4pex5vsknk084sn02q", 1688096058518);
    ASSERT_TIME("01890a5d-ac96-774b-bcce-b302099a8057", 1688096058518);
    ASSERT_TIME("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", 281474976710655);
    ASSERT_TIME("00000000000000000000000000", 0);
    ASSERT_NONE("8ZZZZZZZZZZZZZZZZZZZZZZZZZ"); /* more than 128 bits */
    ASSERT_NONE("01ARZ3NDEKTSV4RRFFQ69G5FA");
    ASSERT_NONE("01ARZ3NDEKTSV4RRFFQ69G5FA-");
    ASSERT_NONE("I1ARZ3NDEKTSV4RRFFQ69G5FAV");
    ASSERT_NONE("01LRZ3NDEKTSV4RRFFQ69G5FAV");
    ASSERT_NONE("01ARZ3NDEKTSV4RRFFQ69G5FAo");
    ASSERT_NONE("01ARZ3NDEKTSV4RRFFQ69G5FuV");
}

static void ksuids(void **state)
{
    /* The example of its README, the greatest there is, and one more. */
    (void)state;
    ASSERT_TIME("0ujtsYcgvSTl8PAuAdqWYSMnLOv", 1507608047000);
    ASSERT_TIME("000000000000000000000000000", 1400000000000);
    ASSERT_TIME("aWgEPTl1tmebfsQzFP4bxwgy80V", 5694967295000);
    ASSERT_NONE("aWgEPTl1tmebfsQzFP4bxwgy80W");
    ASSERT_NONE("zzzzzzzzzzzzzzzzzzzzzzzzzzz");
    ASSERT_NONE("0ujtsYcgvSTl8PAuAdqWYSMnLO-");
}

static void what_stands_before_the_last_underscore_is_a_prefix(void **state)
{
    (void)state;
    ASSERT_TIME("user_01h455vb4pex5vsknk084sn02q", 1688096058518);
    ASSERT_TIME("_01h455vb4pex5vsknk084sn02q", 1688096058518);
    ASSERT_TIME("a_b_017f22e2-79b0-7cc3-98c4-dc0c0c07398f", 1645557742000);
    ASSERT_TIME("req_0ujtsYcgvSTl8PAuAdqWYSMnLOv", 1507608047000);
    ASSERT_NONE("01h455vb4pex5vsknk084sn02q_");
    ASSERT_NONE("user-01h455vb4pex5vsknk084sn02q");
}

static void all_others_tell_none(void **state)
{
    (void)state;
    ASSERT_NONE("");
    ASSERT_NONE("1");
    ASSERT_NONE("1795000000000");
    ASSERT_NONE("usage:events/1795000000000-12");
    ASSERT_NONE("__________________________");
    ASSERT_NONE(
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff\xff\xff\xff\xff");
    /* Whatever comes is read within its bounds: ASan looks. */
    for (uint32_t length = 1; length <= 255; length++) {
        char *bytes = xcalloc(length, 1);

        memset(bytes, '1', length);
        id_time_ms((struct text){.data = bytes, .length = length});
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids_of_version_7),
        cmocka_unit_test(ulids),
        cmocka_unit_test(ksuids),
        cmocka_unit_test(what_stands_before_the_last_underscore_is_a_prefix),
        cmocka_unit_test(all_others_tell_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
