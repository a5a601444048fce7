#include "ctl/completion.h"

#include "ctl/args.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_SIZE = 32 };

/* The part that does not depend on commands. Bash splits --option=value at the equals sign. */
static const char HEAD[] =
    "# bash completion for meterctl; made of its table of commands by `make`\n"
    "_meterctl()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command=${COMP_WORDS[1]} choices= files=\n"
    "    COMPREPLY=()\n"
    "    if [[ $cur == = ]]; then\n"
    "        cur=\n"
    "    elif [[ $prev == = ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    ((COMP_CWORD > 1)) || command=\n"
    "    case $command in\n";

/* compopt fails where bash does not complete, as in tests. */
static const char TAIL[] =
    "    esac\n"
    "    [[ ! $files ]] || compopt -o filenames 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen ${files:+-f} -W \"$choices\" -- \"$cur\")\n"
    "}\n"
    "complete -o bashdefault -F _meterctl meterctl\n";

/* Whether an earlier command begins with the same word. */
static bool was_there(const struct ctl_command *command)
{
    for (const struct ctl_command *c = CTL_COMMANDS; c != command; c++)
        if (strcmp(c->words[0], command->words[0]) == 0)
            return true;
    return false;
}

static void print_first_words(void)
{
    fputs("    '')\n        choices='", stdout);
    for (const struct ctl_command *c = CTL_COMMANDS; c->run; c++)
        if (!was_there(c))
            printf("%s ", c->words[0]);
    puts("help --help --version --print-config' ;;");
}

/* From here on `command` is both words. */
static void print_second_words(const struct ctl_command *first)
{
    printf("    %s)\n        ((COMP_CWORD > 2)) && command+=\" ${COMP_WORDS[2]}\" || choices='",
           first->words[0]);
    for (const struct ctl_command *c = first; c->run; c++)
        if (strcmp(c->words[0], first->words[0]) == 0)
            printf("%s ", c->words[1]);
    puts("--help' ;;");
}

/* Copies the next option of a usage line, such as "--tenant", and moves *at behind it. Returns
 * false if there is none. */
static bool next_option(const char **at, char option[OPTION_SIZE])
{
    const char *begin = strstr(*at, "--");
    if (!begin)
        return false;
    size_t length = 2 + strspn(begin + 2, "abcdefghijklmnopqrstuvwxyz-");
    snprintf(option, OPTION_SIZE, "%.*s", (int)length, begin);
    *at = begin + length;
    return true;
}

/* Values are spelled out in lower case (ndjson|csv); any other is the user's, such as TENANT. */
static void print_values(const char *option, const char *value)
{
    size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyz_|");
    printf("        %s) choices='", option);
    for (size_t i = 0; i < length; i++)
        putchar(value[i] == '|' ? ' ' : value[i]);
    puts("' ;;");
}

static void print_options(const char *arguments)
{
    char option[OPTION_SIZE];
    fputs("        *) choices='", stdout);
    for (const char *at = arguments; next_option(&at, option);)
        printf("%s ", option);
    puts("--help' ;;");
}

static void print_command(const struct ctl_command *c)
{
    char option[OPTION_SIZE];
    printf("    '%s%s%s')\n", c->words[0], c->words[1] ? " " : "", c->words[1] ? c->words[1] : "");
    if (strncmp(c->arguments, "FILE", 4) == 0)
        puts("        files=1");
    puts("        case $prev in");
    for (const char *at = c->arguments; next_option(&at, option);)
        if (args_wants_value(c->arguments, option))
            print_values(option, at + 1);
    print_options(c->arguments);
    puts("        esac ;;");
}

void completion_print(void)
{
    fputs(HEAD, stdout);
    print_first_words();
    for (const struct ctl_command *c = CTL_COMMANDS; c->run; c++)
        if (c->words[1] && !was_there(c))
            print_second_words(c);
    puts("    esac\n    case $command in");
    for (const struct ctl_command *c = CTL_COMMANDS; c->run; c++)
        print_command(c);
    fputs(TAIL, stdout);
}
