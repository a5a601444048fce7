/* A program's manual page, on stdout, in the man(7) macros of roff. It is made of the texts and
 * tables that --help prints: `make` asks each program for its own (--print-manual), so neither is
 * a copy of the other.
 *
 * Texts are as in --help: lines of plain text, with `…` around what is typed. Lines that follow
 * each other are one paragraph, but for
 *
 *     term   what it is,             a term, two or more blanks, a text; indented or not
 *            in one or more lines    its further lines are indented deeper than the term
 *       - one of several things      an item of a list
 *       an example                   other indented lines, kept as they are */
#ifndef METERLINE_MANUAL_H
#define METERLINE_MANUAL_H

#include <stdbool.h>

/* A line of a list, such as a flag or an exit code; a term of NULL ends the list. */
struct manual_item {
    const char *term;
    const char *text;
};

/* The flag that asks for it. It is for the build, and not told in --help. */
#define MANUAL_FLAG "--print-manual"

/* The title and NAME. section: of the manual, 1 or 8. what: the program in one sentence. */
void manual_begin(const char *program, int section, const char *what);
void manual_section(const char *title);
void manual_subsection(const char *title);
/* SYNOPSIS, or a command's usage: the program, or command, in bold. */
void manual_usage(const char *bold, const char *arguments);
void manual_text(const char *text);
void manual_item(const char *term, const char *text);
void manual_items(const struct manual_item *items);
/* What stands between the two is indented. */
void manual_indent(void);
void manual_outdent(void);
/* EXIT STATUS and SEE ALSO: the pages of the other programs. */
void manual_end(const char *program, const struct manual_item *exit_codes);

/* For --help: "Exit codes: 0 done; 1 …" */
void manual_print_exit_codes(const struct manual_item *exit_codes);

#endif
