/* Completion of meterctl's command line in bash, from the usage lines in the table of commands. */
#ifndef METERLINE_CTL_COMPLETION_H
#define METERLINE_CTL_COMPLETION_H

/* The flag that asks for it. It is for the build, and not told in --help. */
#define COMPLETION_FLAG "--print-completion"

/* A script for /usr/share/bash-completion/completions/. It needs nothing but bash. */
void completion_print(void);

#endif
