/* What happened in a test, a word each: the parts that the test plays tell it, and the test asserts
 * it. To be included behind cmocka.h. */
#ifndef METERLINE_TEST_STORY_H
#define METERLINE_TEST_STORY_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char story[1024];

__attribute__((format(printf, 1, 2))) static inline void tell(const char *format, ...)
{
    size_t length = strlen(story);
    va_list arguments;
    va_start(arguments, format);
    if (length > 0)
        story[length++] = ' ';
    (void)vsnprintf(story + length, sizeof story - length, format, arguments);
    va_end(arguments);
}

/* And forget it. */
static inline void assert_story(const char *expected)
{
    assert_string_equal(story, expected);
    *story = '\0';
}

#endif
