/* The body of a request as JSON. */
#include "api/door/params.h"

#include <string.h>

/* jansson goes down by calling itself, up to 2048 times; here it is bounded before. Returns the
 * greatest depth. */
static int depth_of(const char *text, size_t length)
{
    int depth = 0;
    int most = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"') {
            for (i++; i < length && text[i] != '"'; i++)
                i += text[i] == '\\';
        } else if (text[i] == '{' || text[i] == '[') {
            depth++;
            most = depth > most ? depth : most;
        } else if (text[i] == '}' || text[i] == ']') {
            depth--;
        }
    }
    return most;
}

/* jansson says: duplicate object key near '"name"'. */
static int refuse_twice(const char *said, struct params_fault *f)
{
    char name[100] = "";
    const char *from = strchr(said, '"');
    const char *to = from ? strchr(from + 1, '"') : NULL;
    if (to && (size_t)(to - from) <= sizeof name)
        memcpy(name, from + 1, (size_t)(to - from) - 1);
    return params_set_fault(f, 400, "duplicate_parameter", name, "%s stands twice in one object",
                            *name ? name : "a name");
}

json_t *params_load_body(const char *text, size_t length, struct params_fault *f)
{
    json_error_t said;
    if (depth_of(text, length) > PARAMS_DEPTH_MAX) {
        params_set_fault(f, 400, "bad_json", NULL, "the body is nested deeper than %d",
                         PARAMS_DEPTH_MAX);
        return NULL;
    }
    json_t *body = json_loadb(text, length, JSON_REJECT_DUPLICATES, &said);
    if (body)
        return body;
    if (json_error_code(&said) == json_error_duplicate_key)
        refuse_twice(said.text, f);
    else
        params_set_fault(f, 400, "bad_json", NULL, "the body is not JSON: %s (line %d)", said.text,
                         said.line);
    return NULL;
}
