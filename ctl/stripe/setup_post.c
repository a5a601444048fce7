#include "ctl/stripe/setup_post.h"

#include "common/str.h"
#include "common/stripe/stripe_form.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_BYTES = (SETUP_KEY_SIZE - 1) / 2 };

static void add_value(struct stripe_form *form, const char *key, const json_t *value);

static void add_members(struct stripe_form *form, const char *key, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        char *path = *key ? xasprintf("%s[%s]", key, name) : xstrdup(name);
        add_value(form, path, value);
        free(path);
    }
}

static void add_value(struct stripe_form *form, const char *key, const json_t *value)
{
    size_t i;
    const json_t *item;
    if (json_is_object(value))
        add_members(form, key, value);
    else if (json_is_string(value))
        stripe_form_text(form, json_string_value(value), "%s", key);
    else if (json_is_boolean(value))
        stripe_form_bool(form, json_is_true(value), "%s", key);
    else if (json_is_integer(value))
        stripe_form_i64(form, json_integer_value(value), "%s", key);
    json_array_foreach(value, i, item)
    {
        char *path = xasprintf("%s[%zu]", key, i);
        add_value(form, path, item);
        free(path);
    }
}

char *setup_post_body(const json_t *step, const json_t *ids)
{
    size_t i;
    const json_t *need;
    struct stripe_form form = {0};
    json_t *params = json_deep_copy(json_object_get(step, "params"));
    json_t *recurring = json_object_get(params, "recurring");
    json_object_update(params, json_object_get(step, "extra"));
    json_array_foreach(json_object_get(step, "needs"), i, need)
    {
        const char *kind = json_string_value(json_array_get(need, 0));
        const char *name = json_string_value(json_array_get(need, 1));
        json_t *id = json_object_get(json_object_get(ids, kind), name);
        if (recurring && id && strcmp(kind, "meter") == 0)
            json_object_set(recurring, "meter", id);
    }
    add_members(&form, "", params);
    json_decref(params);
    return stripe_form_take(&form);
}

/* The key. */

/* part: NULL is as good as "". */
static void add_part(crypto_generichash_state *state, const char *part)
{
    const char *text = part ? part : "";
    crypto_generichash_update(state, (const unsigned char *)text, strlen(text) + 1);
}

void setup_post_key(const json_t *step, int round, const char *body, const char *salt,
                    char out[SETUP_KEY_SIZE])
{
    unsigned char digest[DIGEST_BYTES];
    const unsigned char number = (unsigned char)round;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof digest);
    add_part(&state, body);
    add_part(&state, salt);
    if (!*salt) {
        crypto_generichash_update(&state, &number, 1);
        add_part(&state, json_string_value(json_object_get(step, "kind")));
        add_part(&state, json_string_value(json_object_get(step, "action")));
        add_part(&state, json_string_value(json_object_get(step, "id")));
    }
    crypto_generichash_final(&state, digest, sizeof digest);
    sodium_bin2hex(out, SETUP_KEY_SIZE, digest, sizeof digest);
}
