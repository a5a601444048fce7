/* Settings from the environment. */
#include "common/conf.h"

#include "common/str.h"
#include "tests/unit/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct config {
    struct conf_base base;
    char *secret;
    char *text;
    char *listen;
    int64_t interval_s;
    int64_t offset;
    bool live;
    int mode;
};

static const char *const MODES[] = {"none", "soft", "hard", NULL};

static const struct conf_setting SETTINGS[] = {
    CONF_REDIS_URL(struct config, base),
    CONF_DATABASE_URL(struct config, base),
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9102"),
    CONF_LOG(struct config, base),
    CONF_SHARDS(struct config, base),
    {"T_SECRET", CONF_STR, offsetof(struct config, secret), .secret = true, .help = "a secret"},
    {"T_TEXT", CONF_STR, offsetof(struct config, text), .help = "a text"},
    {"T_LISTEN", CONF_LISTEN, offsetof(struct config, listen), .help = "an address"},
    {"T_INTERVAL_S", CONF_INT, offsetof(struct config, interval_s), .fallback = "300", .unit = "s",
     .min = 1, .max = 86400, .help = "time between two claims"},
    {"T_OFFSET", CONF_INT, offsetof(struct config, offset), .fallback = "-5", .min = INT64_MIN,
     .max = INT64_MAX, .help = "any integer"},
    {"T_LIVE", CONF_BOOL, offsetof(struct config, live), .fallback = "0", .help = "live or not"},
    {"T_MODE", CONF_CHOICE, offsetof(struct config, mode), .fallback = "soft", .choices = MODES,
     .help = "one of three"},
    {.name = NULL},
};

/* Every test starts with nothing set but what is required. */
static int clean_environment(void **state)
{
    (void)state;
    for (const struct conf_setting *s = SETTINGS; s->name; s++) {
        char *file = xasprintf("%s_FILE", s->name);
        unsetenv(s->name);
        unsetenv(file);
        free(file);
    }
    return setenv("DATABASE_URL", "postgresql://h/d", 1);
}

/* Loads; *faults is what was said about it, malloc'd. */
static int load(struct config *config, char **faults)
{
    *config = (struct config){0};
    struct capture c = capture_start(STDERR_FILENO);
    int result = conf_load(SETTINGS, config);
    *faults = capture_end(&c);
    return result;
}

static void must_load(struct config *config)
{
    char *faults;
    if (load(config, &faults))
        fail_msg("refused: %s", faults);
    assert_string_equal(faults, "");
    free(faults);
}

/* Loading fails, and the one line about it ends in what is expected. */
static void must_refuse(const char *expected)
{
    struct config config;
    char *faults;
    assert_int_equal(load(&config, &faults), -1);
    const char *found = strstr(faults, expected);
    if (!found || strcmp(found + strlen(expected), "\n") || strchr(faults, '\n')[1])
        fail_msg("expected: %s\nfound: %s", expected, faults);
    free(faults);
    conf_done(SETTINGS, &config);
}

/* A file with these bytes; its path is malloc'd. */
static char *make_file(const char *bytes, size_t length)
{
    char *path = xstrdup("/tmp/test_conf_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
    return path;
}

static void defaults_apply(void **state)
{
    /* What is not set takes its default, and texts without one are NULL. */
    (void)state;
    struct config config;
    must_load(&config);
    assert_string_equal(config.base.redis_url, "redis://127.0.0.1:6379");
    assert_string_equal(config.base.database_url, "postgresql://h/d");
    assert_string_equal(config.base.ops_listen, "127.0.0.1:9102");
    assert_int_equal(config.base.log_level, LOG_INFO);
    assert_int_equal(config.base.log_format, LOG_LOGFMT);
    assert_int_equal(config.base.stream_shards, 1);
    assert_null(config.secret);
    assert_null(config.text);
    assert_null(config.listen);
    assert_int_equal(config.interval_s, 300);
    assert_int_equal(config.offset, -5);
    assert_false(config.live);
    assert_int_equal(config.mode, 1);
    conf_done(SETTINGS, &config);
    assert_null(config.base.redis_url);
}

static void the_environment_wins(void **state)
{
    /* What is set is taken instead of the default. */
    (void)state;
    struct config config;
    setenv("LOG_LEVEL", "error", 1);
    setenv("LOG_FORMAT", "json", 1);
    setenv("T_SECRET", "sk_test_1", 1);
    setenv("T_TEXT", "größe = 1", 1);
    setenv("T_LISTEN", "[::1]:0", 1);
    setenv("T_OFFSET", "-9223372036854775808", 1);
    setenv("T_LIVE", "1", 1);
    setenv("T_MODE", "hard", 1);
    must_load(&config);
    assert_int_equal(config.base.log_level, LOG_ERROR);
    assert_int_equal(config.base.log_format, LOG_JSON);
    assert_string_equal(config.secret, "sk_test_1");
    assert_string_equal(config.text, "größe = 1");
    assert_string_equal(config.listen, "[::1]:0");
    assert_true(config.offset == INT64_MIN);
    assert_true(config.live);
    assert_int_equal(config.mode, 2);
    conf_done(SETTINGS, &config);
}

static void empty_is_unset(void **state)
{
    /* An empty variable is like none: the default applies, and a required one is missing. */
    (void)state;
    struct config config;
    setenv("T_INTERVAL_S", "", 1);
    setenv("T_TEXT", "", 1);
    setenv("T_SECRET", "", 1);
    setenv("T_SECRET_FILE", "", 1);
    must_load(&config);
    assert_int_equal(config.interval_s, 300);
    assert_null(config.text);
    assert_null(config.secret);
    conf_done(SETTINGS, &config);
    setenv("DATABASE_URL", "", 1);
    must_refuse("setting=DATABASE_URL msg=\"required, but not set (nor its _FILE)\"");
}

static void values_outside_their_range(void **state)
{
    /* A wrong value is refused with its name, itself and what is allowed. */
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        const char *expected;
    } cases[] = {
        {"T_INTERVAL_S", "0", "setting=T_INTERVAL_S value=0 msg=\"must be 1 to 86400 s\""},
        {"T_INTERVAL_S", "86401", "value=86401 msg=\"must be 1 to 86400 s\""},
        {"T_INTERVAL_S", "-1", "value=-1 msg=\"must be 1 to 86400 s\""},
        {"T_INTERVAL_S", "5s", "value=5s msg=\"must be 1 to 86400 s\""},
        {"T_INTERVAL_S", " 5", "value=\" 5\" msg=\"must be 1 to 86400 s\""},
        {"T_INTERVAL_S", "1.5", "value=1.5 msg=\"must be 1 to 86400 s\""},
        {"T_INTERVAL_S", "18446744073709551617", "msg=\"must be 1 to 86400 s\""},
        {"T_OFFSET", "9223372036854775808",
         "msg=\"must be -9223372036854775808 to 9223372036854775807\""},
        {"T_LIVE", "true", "setting=T_LIVE value=true msg=\"must be 0 or 1\""},
        {"T_LIVE", "2", "setting=T_LIVE value=2 msg=\"must be 0 or 1\""},
        {"T_MODE", "Hard", "setting=T_MODE value=Hard msg=\"must be one of: none, soft, hard\""},
        {"LOG_LEVEL", "trace", "msg=\"must be one of: debug, info, warn, error\""},
        {"T_TEXT", "a\nb", "value=\"a\\nb\" msg=\"must not hold control characters\""},
        {"T_LISTEN", "9100", "msg=\"must be HOST:PORT, [V6]:PORT or :PORT, port 0 to 65535\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv(cases[i].name, cases[i].value, 1);
        must_refuse(cases[i].expected);
        unsetenv(cases[i].name);
    }
}

static void all_faults_come_at_once(void **state)
{
    /* One run reports every fault, a line each, and no more lines than faults. */
    (void)state;
    struct config config;
    char *faults;
    unsetenv("DATABASE_URL");
    setenv("METERLINE_STREAM_SHARDS", "0", 1);
    setenv("T_LIVE", "yes", 1);
    setenv("T_SECRET_FILE", "/nonexistent/secret", 1);
    setenv("T_MODE", "hard", 1);
    assert_int_equal(load(&config, &faults), -1);
    size_t lines = 0;
    for (const char *at = faults; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 4);
    assert_non_null(
        strstr(faults, "level=error stage=meterline event=setting_refused setting=DATABASE_URL"));
    assert_non_null(
        strstr(faults, "setting=METERLINE_STREAM_SHARDS value=0 msg=\"must be 1 to 1024\""));
    assert_non_null(strstr(faults, "setting=T_LIVE value=yes"));
    assert_non_null(strstr(faults, "setting=T_SECRET_FILE value=/nonexistent/secret "
                                   "msg=\"cannot open the file: No such file or directory\""));
    free(faults);
    conf_done(SETTINGS, &config);
}

static void faults_never_show_a_secret(void **state)
{
    /* A refused secret shows as ***, and so does a refused URL. */
    (void)state;
    setenv("T_SECRET", "hunter2\n", 1);
    must_refuse("setting=T_SECRET value=*** msg=\"must not hold control characters\"");
    unsetenv("T_SECRET");
    setenv("REDIS_URL", "redis://u:hunter2@h\x01", 1);
    must_refuse("setting=REDIS_URL value=*** msg=\"must not hold control characters\"");
}

static void secrets_come_from_files(void **state)
{
    /* X_FILE gives a secret or a URL, less one trailing newline. */
    (void)state;
    static const char *const contents[] = {"host=h", "host=h\n"};
    for (size_t i = 0; i < 2; i++) {
        struct config config;
        char *path = make_file(contents[i], strlen(contents[i]));
        setenv("T_SECRET_FILE", path, 1);
        setenv("DATABASE_URL_FILE", path, 1);
        unsetenv("DATABASE_URL");
        must_load(&config);
        assert_string_equal(config.secret, "host=h");
        assert_string_equal(config.base.database_url, "host=h");
        conf_done(SETTINGS, &config);
        unlink(path);
        free(path);
    }
}

static void files_that_are_refused(void **state)
{
    /* A file that is empty, too large or no text is a fault that names the file, not what it holds.
     */
    (void)state;
    static char large[65537];
    memset(large, 'x', sizeof large);
    const struct {
        const char *bytes;
        size_t length;
        const char *expected;
    } cases[] = {
        {"", 0, "the file is empty"},
        {"\n", 1, "the file is empty"},
        {"\xef\xbb\xbf \r\n\t\n", 8, "the file is empty"},
        {"sk_test_1\nsk_test_2\n", 20, "the file holds more than one line of text"},
        {"sk_test_1\rsk_test_2", 19, "the file holds more than one line of text"},
        {"\xff\xfes\0k\0", 6, "the file is UTF-16; save it as plain text, UTF-8"},
        {"sk\0x", 4, "the file holds a NUL byte"},
        {large, sizeof large, "the file is larger than 65536 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = make_file(cases[i].bytes, cases[i].length);
        char *line =
            xasprintf("setting=T_SECRET_FILE value=%s msg=\"%s\"", path, cases[i].expected);
        setenv("T_SECRET_FILE", path, 1);
        must_refuse(line);
        unlink(path);
        free(line);
        free(path);
    }
    setenv("T_SECRET_FILE", "/tmp", 1);
    must_refuse("value=/tmp msg=\"cannot read the file: Is a directory\"");
}

static void what_editors_put_around_a_secret_is_no_part_of_it(void **state)
{
    /* CR LF, a byte order mark, blank lines and blanks at the ends are dropped; within stay. */
    (void)state;
    static const char *const files[] = {"sk_test_1", "sk_test_1\n", "sk_test_1\r\n",
                                        "\xef\xbb\xbfsk_test_1\r\n",
                                        "\r\n\n  sk_test_1 \t\n\n\r\n"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct config config;
        char *path = make_file(files[i], strlen(files[i]));
        setenv("T_SECRET_FILE", path, 1);
        must_load(&config);
        assert_string_equal(config.secret, "sk_test_1");
        conf_done(SETTINGS, &config);
        unlink(path);
        free(path);
    }
}

static void a_value_and_its_file_exclude_each_other(void **state)
{
    /* X and X_FILE both set is a fault, as nobody could tell which one is meant. */
    (void)state;
    setenv("T_SECRET", "a", 1);
    setenv("T_SECRET_FILE", "/dev/null", 1);
    must_refuse(
        "setting=T_SECRET_FILE value=/dev/null msg=\"T_SECRET is set too; set only one of them\"");
}

static void only_secrets_and_urls_have_files(void **state)
{
    /* For other settings X_FILE is just another variable. */
    (void)state;
    struct config config;
    setenv("T_TEXT_FILE", "/nonexistent", 1);
    must_load(&config);
    assert_null(config.text);
    conf_done(SETTINGS, &config);
    unsetenv("T_TEXT_FILE");
}

static void the_last_value_is_not_leaked(void **state)
{
    /* Loading again after conf_done works, and loading twice keeps one string each. */
    (void)state;
    struct config config;
    must_load(&config);
    assert_int_equal(conf_load(SETTINGS, &config), 0);
    conf_done(SETTINGS, &config);
    conf_done(SETTINGS, &config);
}

static void listen_addresses(void **state)
{
    /* HOST:PORT, IPv4 or a name, or an IPv6 address in brackets; the port is 0 to 65535. */
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        int port;
    } good[] = {
        {"127.0.0.1:9100", "127.0.0.1", 9100},
        {"0.0.0.0:0", "0.0.0.0", 0},
        {"localhost:65535", "localhost", 65535},
        {"my-host.example.com:80", "my-host.example.com", 80},
        {"[::1]:8080", "::1", 8080},
        {"[::]:0", "::", 0},
        {"[2001:db8::1]:443", "2001:db8::1", 443},
        {"[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1", 1},
        {":80", "", 80},
        {":0", "", 0},
    };
    static const char *const bad[] = {
        "",
        ":",
        ":x",
        "host",
        "host:",
        "host:x",
        "host:-1",
        "host:65536",
        "host:80 ",
        " host:80",
        "ho st:80",
        "::1:80",
        "[::1]",
        "[::1]:",
        "[]:80",
        "[host]:80",
        "[127.0.0.1]:80",
        "[::1:80",
        "::1]:80",
        "[::g]:80",
        "host:0x50",
        "http://host:80",
        "host:80/",
        "a@b:80",
        "host:+80",
        "host:99999999999999999999",
        "[::1]x:80",
        "x[::1]:80",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err e;
        char *host;
        int port;
        assert_int_equal(conf_parse_listen(good[i].text, &host, &port, &e), 0);
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
        free(host);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e;
        char *host;
        int port;
        if (conf_parse_listen(bad[i], &host, &port, &e) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(e.kind, ERR_INPUT);
    }
}

static void printing_masks_secrets(void **state)
{
    /* --print-config shows every setting in effect, secrets and passwords as ***. */
    (void)state;
    struct config config;
    setenv("T_SECRET", "hunter2", 1);
    setenv("DATABASE_URL", "postgresql://u:hunter2@h/d", 1);
    setenv("T_LIVE", "1", 1);
    must_load(&config);
    struct capture c = capture_start(STDOUT_FILENO);
    conf_print(SETTINGS, &config);
    char *page = capture_end(&c);
    assert_string_equal(page, "REDIS_URL=redis://127.0.0.1:6379\n"
                              "DATABASE_URL=postgresql://u:***@h/d\n"
                              "OPS_LISTEN=127.0.0.1:9102\n"
                              "LOG_LEVEL=info\n"
                              "LOG_FORMAT=logfmt\n"
                              "METERLINE_STREAM_SHARDS=1\n"
                              "T_SECRET=***\n"
                              "T_TEXT=\n"
                              "T_LISTEN=\n"
                              "T_INTERVAL_S=300\n"
                              "T_OFFSET=-5\n"
                              "T_LIVE=1\n"
                              "T_MODE=soft\n");
    free(page);
    conf_done(SETTINGS, &config);
}

static char *help_page(const struct conf_setting *table, const char *what)
{
    struct capture c = capture_start(STDOUT_FILENO);
    conf_print_help(table, "meterline-test", "[flag]...", what);
    return capture_end(&c);
}

static void help_names_every_setting(void **state)
{
    /* --help shows each setting with its help, range, unit and default, or that it is required. */
    (void)state;
    char *page = help_page(SETTINGS, "Tests what is measured.");
    assert_memory_equal(page, "usage: meterline-test [flag]...\n\nTests what is measured.\n\n", 56);
    for (const struct conf_setting *s = SETTINGS; s->name; s++)
        assert_non_null(strstr(page, s->name));
    assert_non_null(strstr(page, "\n  T_INTERVAL_S             time between two claims\n"
                                 "                           1 to 86400 s; default 300\n"));
    assert_non_null(strstr(page, " required; or DATABASE_URL_FILE names a file\n"));
    assert_non_null(strstr(page, " one of: none, soft, hard; default soft\n"));
    assert_non_null(strstr(page, "\n  T_TEXT                   a text\n  T_LISTEN"));
    free(page);
}

static void help_fits_100_columns(void **state)
{
    /* Long texts wrap between words, and no line is longer than 100 columns. */
    (void)state;
    static const char words[] = "Lorem ipsum dolor sit amet consectetur adipiscing elit sed do "
                                "eiusmod tempor incididunt ut labore et dolore magna aliqua "
                                "ut enim ad minim veniam quis nostrud exercitation ullamco";
    const struct conf_setting table[] = {
        {"T_A", CONF_STR, 0, .help = words},
        {"T_LONGER_NAME", CONF_STR, 0, .help = "short"},
        {.name = NULL},
    };
    char *page = help_page(table, words);
    size_t wide = 0;
    for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 100);
        wide += strlen(line) > 90;
        assert_int_not_equal(line[strlen(line) - 1], ' ');
    }
    assert_true(wide >= 2); /* and the page's width is used */
    free(page);
}

#define TEST(name) cmocka_unit_test_setup(name, clean_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_apply),
        TEST(the_environment_wins),
        TEST(empty_is_unset),
        TEST(values_outside_their_range),
        TEST(all_faults_come_at_once),
        TEST(faults_never_show_a_secret),
        TEST(secrets_come_from_files),
        TEST(files_that_are_refused),
        TEST(what_editors_put_around_a_secret_is_no_part_of_it),
        TEST(a_value_and_its_file_exclude_each_other),
        TEST(only_secrets_and_urls_have_files),
        TEST(the_last_value_is_not_leaked),
        TEST(listen_addresses),
        TEST(printing_masks_secrets),
        TEST(help_names_every_setting),
        TEST(help_fits_100_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
