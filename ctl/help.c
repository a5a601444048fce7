#include "ctl/help.h"

#include "common/manual.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>

static const char WHAT[] =
    "Sets meterline up, shows how it is doing, and sets right what went wrong.";
static const char ARGUMENTS[] = "COMMAND [argument]...";

static const struct manual_item SHARED_FLAGS[] = {
    {"--json", "the same for programs"},
    {"--wide", "tables are not cut to the terminal's width"},
    {"--yes", "do it; without it the command only says what it would do"},
    {NULL, NULL}};

static const struct manual_item OWN_FLAGS[] = {
    {"--help", "this text"},
    {"--version", "the program's version"},
    {"--print-config", "the settings in force, secrets as ***"},
    {NULL, NULL}};

static const struct manual_item EXIT_CODES[] = {
    {"0", "done"},
    {"1", "could not go on, or found differences"},
    {"2", "wrong settings or usage"},
    {"3", "could not be checked"},
    {"4", "balanced but something waits for a person (audit)"},
    {NULL, NULL}};

static char *command_name(const struct ctl_command *c)
{
    return xasprintf("%s %s%s%s", CTL_PROGRAM, c->words[0], c->words[1] ? " " : "",
                     c->words[1] ? c->words[1] : "");
}

void help_print_usage(const struct ctl_command *c)
{
    char *name = command_name(c);
    printf("%s%s%s", name, *c->arguments ? " " : "", c->arguments);
    free(name);
}

void help_print_command(const struct ctl_command *c)
{
    fputs("usage: ", stdout);
    help_print_usage(c);
    printf("\n\n%s\n%s%s", c->what, *c->detail ? "\n" : "", c->detail);
}

static void print_flags(const struct manual_item *flags)
{
    for (; flags->term; flags++)
        printf("  %-14s  %s\n", flags->term, flags->text);
}

void help_print(const struct conf_setting *settings)
{
    printf("usage: %s %s\n\n%s\n`%s COMMAND --help` explains a command.\n", CTL_PROGRAM, ARGUMENTS,
           WHAT, CTL_PROGRAM);
    for (const struct ctl_command *c = CTL_COMMANDS; c->run; c++) {
        if (c->group)
            printf("\n%s:\n", c->group);
        fputs("  ", stdout);
        help_print_usage(c);
        printf("\n      %s\n", c->what);
    }
    puts("\nFlags that many commands have:");
    print_flags(SHARED_FLAGS);
    puts("Flags without a command:");
    print_flags(OWN_FLAGS);
    manual_print_exit_codes(EXIT_CODES);
    conf_print_settings(settings);
}

static void print_manual_of(const struct ctl_command *c)
{
    char *name = command_name(c);
    manual_usage(name, c->arguments);
    manual_indent();
    manual_text(c->what);
    manual_text(c->detail);
    manual_outdent();
    free(name);
}

void help_print_manual(const struct conf_setting *settings)
{
    manual_begin(CTL_PROGRAM, 1, WHAT);
    manual_section("SYNOPSIS");
    manual_usage(CTL_PROGRAM, ARGUMENTS);
    manual_section("DESCRIPTION");
    manual_text(WHAT);
    manual_section("COMMANDS");
    for (const struct ctl_command *c = CTL_COMMANDS; c->run; c++) {
        if (c->group)
            manual_subsection(c->group);
        print_manual_of(c);
    }
    manual_section("OPTIONS");
    manual_subsection("Flags that many commands have");
    manual_items(SHARED_FLAGS);
    manual_subsection("Flags without a command");
    manual_items(OWN_FLAGS);
    conf_print_manual(settings);
    manual_end(CTL_PROGRAM, EXIT_CODES);
}
