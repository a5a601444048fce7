#include "common/conf.h"

#include "common/conf_file.h"
#include "common/conf_value.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *const CONF_LOG_LEVELS[] = {"debug", "info", "warn", "error", NULL};
const char *const CONF_LOG_FORMATS[] = {"logfmt", "json", NULL};

/* An empty variable counts as unset, as container files often can only empty one. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void report(const char *name, const char *value, const struct err *fault)
{
    log_error(setting_refused, LOG_STR("setting", name), LOG_STR("value", value),
              LOG_STR("msg", fault->text));
}

/* What X or X_FILE gives in *text (malloc'd; NULL if neither is set). Reports its faults. */
static int find_text(const struct conf_setting *s, char **text)
{
    struct err e;
    int failed = 0;
    const char *value = environment(s->name);
    char *file_name = xasprintf("%s_FILE", s->name);
    const char *path = conf_has_file(s) ? environment(file_name) : NULL;
    *text = NULL;
    if (value && path)
        failed = err_set(&e, ERR_CONFIG, "%s is set too; set only one of them", s->name);
    else if (path)
        failed = conf_file_read(path, text, &e);
    else if (value)
        *text = xstrdup(value);
    if (failed)
        report(file_name, path, &e);
    free(file_name);
    return failed;
}

static int load_text(const struct conf_setting *s, const char *text, void *config)
{
    struct err e;
    if (conf_value_parse(s, text, config, &e) == 0)
        return 0;
    /* Where in a wrong URL the password stands cannot be told for sure. */
    report(s->name, conf_has_file(s) ? "***" : text, &e);
    return -1;
}

static void load_fallback(const struct conf_setting *s, void *config)
{
    struct err e;
    int failed = s->fallback ? conf_value_parse(s, s->fallback, config, &e) : 0;
    assert(!failed); /* a default outside its own range */
    (void)failed;
}

static int load_setting(const struct conf_setting *s, void *config)
{
    struct err e;
    char *text;
    if (find_text(s, &text))
        return -1;
    if (text) {
        int failed = load_text(s, text, config);
        free(text);
        return failed;
    }
    if (s->required) {
        err_set(&e, ERR_CONFIG, "required, but not set%s",
                conf_has_file(s) ? " (nor its _FILE)" : "");
        report(s->name, NULL, &e);
        return -1;
    }
    load_fallback(s, config);
    return 0;
}

void conf_start_log(const char *stage)
{
    const char *format = environment("LOG_FORMAT");
    log_init(stage, LOG_INFO, format && !strcmp(format, "json") ? LOG_JSON : LOG_LOGFMT);
}

int conf_load(const struct conf_setting *table, void *config)
{
    int faults = 0;
    for (const struct conf_setting *s = table; s->name; s++)
        if (load_setting(s, config))
            faults++;
    return faults ? -1 : 0;
}

void conf_done(const struct conf_setting *table, void *config)
{
    for (const struct conf_setting *s = table; s->name; s++) {
        if (s->type != CONF_STR && s->type != CONF_LISTEN)
            continue;
        char **field = conf_field(s, config);
        free(*field);
        *field = NULL;
    }
}
