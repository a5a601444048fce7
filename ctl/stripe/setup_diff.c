#include "ctl/stripe/setup_diff.h"

#include "common/str.h"

#include <stdlib.h>
#include <string.h>

/* Whose text is a number, which may be written in several ways. */
static bool is_number(const char *name)
{
    static const char *const NAMES[] = {
        "unit_amount", "unit_amount_decimal", "flat_amount",   "flat_amount_decimal",
        "up_to",       "percentage",          "interval_count"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(NAMES[i], name) == 0)
            return true;
    return false;
}

static char *text_of(const json_t *value)
{
    if (json_is_string(value))
        return xstrdup(json_string_value(value));
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* Without zeros in front and at the end: "08.10" is "8.1". malloc'd. */
static char *plain_number(const json_t *value)
{
    char *text = text_of(value);
    size_t skip = strspn(text, "0");
    size_t length = strlen(text);
    if (strchr(text, '.'))
        while (length > 0 && text[length - 1] == '0')
            length--;
    if (length > 0 && text[length - 1] == '.')
        length--;
    char *plain = skip >= length      ? xstrdup("0")
                  : text[skip] == '.' ? xasprintf("0%.*s", (int)(length - skip), text + skip)
                                      : xstrndup(text + skip, length - skip);
    free(text);
    return plain;
}

/* Stripe shows what there is none of as null, an empty list or text, or not at all. */
static bool is_none(const json_t *value)
{
    return !value || json_is_null(value) || (json_is_string(value) && !*json_string_value(value)) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static bool holds_words(const json_t *list)
{
    return json_array_size(list) > 0 && json_is_string(json_array_get(list, 0));
}

static bool has_word(const json_t *list, const json_t *word)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        if (json_equal(item, word))
            return true;
    }
    return false;
}

static bool has_same_words(const json_t *a, const json_t *b)
{
    size_t i;
    const json_t *word;
    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach(a, i, word)
    {
        if (!has_word(b, word))
            return false;
    }
    return true;
}

/* The last tier has no end: "inf" is asked for, and null is shown. */
static bool is_endless(const char *name, const json_t *wanted, const json_t *found)
{
    const char *text = json_string_value(wanted);
    return strcmp(name, "up_to") == 0 && text && strcmp(text, "inf") == 0 && is_none(found);
}

static bool is_equal(const char *name, const json_t *wanted, const json_t *found)
{
    if (is_none(wanted) || is_none(found))
        return (is_none(wanted) && is_none(found)) || is_endless(name, wanted, found);
    if (json_is_array(wanted))
        return has_same_words(wanted, found);
    if (!is_number(name) || json_is_array(found) || json_is_object(found))
        return json_equal(wanted, found);
    char *a = plain_number(wanted);
    char *b = plain_number(found);
    bool equal = strcmp(a, b) == 0;
    free(a);
    free(b);
    return equal;
}

static void add_difference(json_t *out, const char *path, const json_t *wanted, const json_t *found)
{
    size_t i;
    const json_t *word;
    struct buf text = {0};
    char *from = is_none(found) ? xstrdup("none") : text_of(found);
    char *to = is_none(wanted) ? xstrdup("none") : text_of(wanted);
    buf_printf(&text, "%s", path);
    if (holds_words(wanted) && !is_none(found)) {
        json_array_foreach(wanted, i, word)
        {
            if (!has_word(found, word))
                buf_printf(&text, " +%s", json_string_value(word));
        }
        json_array_foreach(found, i, word)
        {
            if (!has_word(wanted, word) && json_is_string(word))
                buf_printf(&text, " -%s", json_string_value(word));
        }
    } else {
        buf_printf(&text, " %s to %s", from, to);
    }
    json_array_append_new(
        out, json_pack("{s:s%, s:s}", "top", path, strcspn(path, ".["), "text", text.data));
    buf_done(&text);
    free(from);
    free(to);
}

static void compare(json_t *out, const char *path, const char *name, const json_t *wanted,
                    const json_t *found);

static void compare_members(json_t *out, const char *path, const json_t *wanted,
                            const json_t *found)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)wanted, name, value)
    {
        char *below = *path ? xasprintf("%s.%s", path, name) : xstrdup(name);
        compare(out, below, name, value, json_object_get(found, name));
        free(below);
    }
}

static void compare_items(json_t *out, const char *path, const json_t *wanted, const json_t *found)
{
    size_t i;
    const json_t *item;
    if (json_array_size(wanted) != json_array_size(found)) {
        add_difference(out, path, wanted, found);
        return;
    }
    json_array_foreach(wanted, i, item)
    {
        char *below = xasprintf("%s[%zu]", path, i);
        compare(out, below, path, item, json_array_get(found, i));
        free(below);
    }
}

static void compare(json_t *out, const char *path, const char *name, const json_t *wanted,
                    const json_t *found)
{
    if (json_is_object(wanted))
        compare_members(out, path, wanted, found);
    else if (json_is_array(wanted) && !holds_words(wanted))
        compare_items(out, path, wanted, found);
    else if (!is_equal(name, wanted, found))
        add_difference(out, path, wanted, found);
}

json_t *setup_diff(const json_t *wanted, const json_t *found)
{
    json_t *out = json_array();
    compare_members(out, "", wanted, found);
    return out;
}

const char *setup_diff_top(const json_t *difference)
{
    return json_string_value(json_object_get(difference, "top"));
}

bool setup_diff_is_below(const json_t *difference, const char *const *names)
{
    const char *top = setup_diff_top(difference);
    while (*names && strcmp(*names, top) != 0)
        names++;
    return *names != NULL;
}

void setup_diff_forget(json_t *differences, const char *name)
{
    for (size_t i = json_array_size(differences); i-- > 0;)
        if (strcmp(setup_diff_top(json_array_get(differences, i)), name) == 0)
            json_array_remove(differences, i);
}
