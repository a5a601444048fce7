/* docs/api.md says what the tables of routes say, and the tables are whole. */
#include "api/door/routing.h"
#include "api/openapi.h"
#include "api/route_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "reference.h"

static void the_reference_is_current(void **state)
{
    (void)state;
    assert_reference_is_current("docs/api.md", openapi_add_reference);
}

static bool is_change(const struct api_route *r)
{
    return strcmp(r->method, "GET") != 0;
}

/* What a table forgets would be found out by the first caller. */
static void every_route_is_whole(void **state)
{
    (void)state;
    for (const struct api_route *const *table = API_ROUTES; *table; table++)
        for (const struct api_route *r = *table; r->method; r++) {
            int statuses[OPENAPI_STATUSES_MAX];
            assert_non_null(r->handle);
            assert_non_null(r->what);
            assert_true(r->what[strlen(r->what) - 1] == '.');
            assert_true(strncmp(r->path, "/api/", 5) == 0);
            assert_int_equal(is_change(r), r->history || (r->flags & API_IS_NO_CHANGE));
            assert_true(!is_change(r) || r->role >= API_EDITOR || (r->flags & API_IS_NO_CHANGE));
            assert_true(!(r->flags & API_IS_STREAM) == !r->gives);
            assert_true(!(r->flags & API_IS_RAW) == !r->takes);
            assert_true(r->answer || r->gives || r->role == API_PUBLIC);
            assert_true(strncmp(r->path, "/api/admin/", 11) != 0 || r->role == API_ADMIN);
            openapi_statuses(r, statuses);
        }
}

static void every_parameter_is_whole(void **state)
{
    (void)state;
    for (const struct api_route *const *table = API_ROUTES; *table; table++)
        for (const struct api_route *r = *table; r->method; r++)
            for (const struct api_param *p = r->params; p && p->place != API_END; p++) {
                char pattern[80];
                assert_non_null(p->what);
                assert_true((p->type == API_CHOICE) == (p->choices != NULL));
                assert_true(p->type != API_TEXT || (p->max > 0 && p->min <= p->max));
                assert_true(p->type != API_WHOLE || p->min < p->max);
                assert_true(p->type != API_LIST || (p->fields && p->max > 0));
                snprintf(pattern, sizeof pattern, "{%s}", p->name);
                assert_int_equal(p->place == API_PATH, strstr(r->path, pattern) != NULL);
            }
}

static void the_document_is_json(void **state)
{
    (void)state;
    json_t *document = openapi_document(API_ROUTES);
    assert_true(json_object_size(json_object_get(document, "paths")) > 0);
    json_decref(document);
}

static void the_plainest_path_is_found(void **state)
{
    struct target t;
    const char *why;
    char allowed[ROUTE_METHODS_SIZE];
    (void)state;
    assert_int_equal(target_parse("/api/billing/usage?x=1", &t, &why), 0);
    assert_string_equal(route_find(API_ROUTES, "GET", &t, allowed)->path, "/api/billing/usage");
    assert_null(route_find(API_ROUTES, "BREW", &t, allowed));
    assert_non_null(strstr(allowed, "GET"));
    target_done(&t);
    assert_int_equal(target_parse("/api/billing/usage/", &t, &why), 0);
    assert_null(route_find(API_ROUTES, "GET", &t, allowed));
    assert_string_equal(allowed, "");
    target_done(&t);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_is_current),   cmocka_unit_test(every_route_is_whole),
        cmocka_unit_test(every_parameter_is_whole),   cmocka_unit_test(the_document_is_json),
        cmocka_unit_test(the_plainest_path_is_found),
    };
    if (print_reference(argc, argv, openapi_add_reference))
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
