#include "common/conf_reload.h"

#include "common/conf_internal.h"
#include "common/log.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES_MAX = 16, LOOK_MS = 1000 };

/* What tells one content of a file from another without reading it. */
struct look {
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written;
    struct timespec changed;
};

struct watched {
    const struct conf_setting *setting;
    char *path;
    struct look seen; /* at the last look */
    struct look read; /* when it was last read */
};

struct conf_reload {
    struct conf_reload_terms terms;
    struct watched files[FILES_MAX];
    int n;
};

static struct look look_at(const char *path)
{
    struct stat s;
    struct look l = {0};
    /* A pipe can be read only once, and reading it here could block. */
    if (stat(path, &s) || !S_ISREG(s.st_mode))
        return l;
    l.there = true;
    l.device = s.st_dev;
    l.inode = s.st_ino;
    l.size = s.st_size;
    l.written = s.st_mtim;
    l.changed = s.st_ctim;
    return l;
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct look *a, const struct look *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && is_same_time(&a->written, &b->written) &&
           is_same_time(&a->changed, &b->changed);
}

static void tell_kept(const struct watched *f, const char *why)
{
    log_error(setting_kept, LOG_STR("setting", f->setting->name), LOG_STR("file", f->path),
              LOG_STR("err", why),
              LOG_MSG("the file's new content is not used and the old one stays in force: correct "
                      "the file; it is read again when it changes or on SIGHUP"));
}

/* Put text into the config; the old one comes back where it is refused. */
static void replace(struct conf_reload *r, const struct watched *f, const char *text)
{
    struct err e;
    const struct conf_setting *s = f->setting;
    char **field = conf_field(s, r->terms.config);
    char *before = *field;
    if (before && !strcmp(before, text))
        return;
    if (before && s->check_change && s->check_change(before, text, &e)) {
        tell_kept(f, e.text);
        return;
    }
    *field = NULL;
    bool refused = conf_value_parse(s, text, r->terms.config, &e) != 0;
    if (!refused && r->terms.check && r->terms.check(r->terms.config) > 0)
        refused = err_set(&e, ERR_CONFIG, "does not go with the other settings") != 0;
    if (refused) {
        tell_kept(f, e.text);
        free(*field);
        *field = before;
        return;
    }
    free(before);
    log_info(setting_changed, LOG_STR("setting", s->name), LOG_STR("file", f->path),
             LOG_MSG("whatever begins from now on uses the new text"));
    if (r->terms.on_changed)
        r->terms.on_changed(s, *field);
}

static void read_one(struct conf_reload *r, struct watched *f)
{
    struct err e;
    char *text = NULL;
    f->read = f->seen;
    if (!f->seen.there)
        tell_kept(f, "the file is gone, or is not a regular file");
    else if (conf_file_read(f->path, &text, &e))
        tell_kept(f, e.text);
    else
        replace(r, f, text);
    free(text);
}

void conf_reload_changed(struct conf_reload *r)
{
    for (int i = 0; r && i < r->n; i++) {
        struct watched *f = &r->files[i];
        struct look now = look_at(f->path);
        bool settled = is_same(&now, &f->seen);
        f->seen = now;
        if (settled && !is_same(&now, &f->read))
            read_one(r, f);
    }
}

void conf_reload_all(struct conf_reload *r)
{
    for (int i = 0; r && i < r->n; i++) {
        r->files[i].seen = look_at(r->files[i].path);
        read_one(r, &r->files[i]);
    }
}

static void add_file(struct conf_reload *r, const struct conf_setting *s)
{
    char *name = xasprintf("%s_FILE", s->name);
    const char *path = conf_has_file(s) ? getenv(name) : NULL;
    free(name);
    /* Anything but a regular file, such as a shell's pipe, was read once and for all. */
    if (!path || !*path || r->n == FILES_MAX || !look_at(path).there)
        return;
    struct watched *f = &r->files[r->n++];
    f->setting = s;
    f->path = xstrdup(path);
    /* f->read stays empty: the file may have changed since the settings were loaded. */
}

struct conf_reload *conf_reload_new(const struct conf_reload_terms *terms)
{
    struct conf_reload *r = xcalloc(1, sizeof *r);
    r->terms = *terms;
    for (const struct conf_setting *s = terms->table; s->name; s++)
        add_file(r, s);
    if (r->n > 0)
        return r;
    free(r);
    return NULL;
}

void conf_reload_free(struct conf_reload *r)
{
    for (int i = 0; r && i < r->n; i++)
        free(r->files[i].path);
    free(r);
}

/* Under a loop. */

struct conf_watch {
    struct conf_reload *files;
    uv_timer_t timer;
};

static void on_timer(uv_timer_t *timer)
{
    struct conf_watch *w = timer->data;
    conf_reload_changed(w->files);
}

void conf_watch_read(struct conf_watch *w)
{
    if (w)
        conf_reload_all(w->files);
}

struct conf_watch *conf_watch_open(uv_loop_t *loop, const struct conf_reload_terms *terms)
{
    struct conf_reload *files = conf_reload_new(terms);
    if (!files)
        return NULL;
    struct conf_watch *w = xcalloc(1, sizeof *w);
    w->files = files;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_timer, LOOK_MS, LOOK_MS);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct conf_watch *w = handle->data;
    conf_reload_free(w->files);
    free(w);
}

void conf_watch_close(struct conf_watch *w)
{
    uv_close((uv_handle_t *)&w->timer, on_closed);
}
