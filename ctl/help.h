/* The help of meterctl and of its commands, and its manual page, from the table of commands. */
#ifndef METERLINE_CTL_HELP_H
#define METERLINE_CTL_HELP_H

#include "ctl/ctl.h"

/* meterctl --help */
void help_print(const struct conf_setting *settings);
/* meterctl COMMAND --help */
void help_print_command(const struct ctl_command *command);
/* "meterctl quota unset TENANT [METRIC]", without a newline. */
void help_print_usage(const struct ctl_command *command);
/* See common/manual.h. */
void help_print_manual(const struct conf_setting *settings);

#endif
