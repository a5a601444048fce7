#include "common/conf_file.h"

#include "common/str.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX_BYTES 65536 /* far above any secret; a wrong path may name something endless */

static const char UTF8_MARK[] = "\xef\xbb\xbf";
static const char BLANKS[] = " \t\r\n";

static bool is_blank(char c)
{
    return c && strchr(BLANKS, c);
}

/* UTF-16, as Windows' Notepad and PowerShell write "Unicode". */
static bool is_wide(const char *bytes, size_t length)
{
    return length >= 2 && (!memcmp(bytes, "\xff\xfe", 2) || !memcmp(bytes, "\xfe\xff", 2));
}

static int take_line(const char *bytes, size_t length, char **text, struct err *e)
{
    size_t mark = sizeof UTF8_MARK - 1;
    if (is_wide(bytes, length))
        return err_set(e, ERR_CONFIG, "the file is UTF-16; save it as plain text, UTF-8");
    if (memchr(bytes, '\0', length))
        return err_set(e, ERR_CONFIG, "the file holds a NUL byte");
    if (length >= mark && !memcmp(bytes, UTF8_MARK, mark)) {
        bytes += mark;
        length -= mark;
    }
    for (; length > 0 && is_blank(*bytes); bytes++)
        length--;
    while (length > 0 && is_blank(bytes[length - 1]))
        length--;
    if (length == 0)
        return err_set(e, ERR_CONFIG, "the file is empty");
    if (memchr(bytes, '\n', length) || memchr(bytes, '\r', length))
        return err_set(e, ERR_CONFIG, "the file holds more than one line of text");
    *text = xstrndup(bytes, length);
    return 0;
}

static int take_file(FILE *file, char **text, struct err *e)
{
    char bytes[FILE_MAX_BYTES + 1];
    size_t length = fread(bytes, 1, sizeof bytes, file);
    if (ferror(file))
        return err_set(e, ERR_IO, "cannot read the file: %s", strerror(errno));
    if (length > FILE_MAX_BYTES)
        return err_set(e, ERR_CONFIG, "the file is larger than %d bytes", FILE_MAX_BYTES);
    return take_line(bytes, length, text, e);
}

int conf_file_read(const char *path, char **text, struct err *e)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(e, ERR_IO, "cannot open the file: %s", strerror(errno));
    int failed = take_file(file, text, e);
    fclose(file);
    return failed;
}
