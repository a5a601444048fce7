/* meterctl status: how the line is doing. */
#include "ctl/status/status.h"

#include "ctl/report.h"
#include "ctl/status/status_view.h"
#include "ctl/terminal/table.h"

#include <stdio.h>

static void print_tables(const json_t *report)
{
    struct buf text = {0};

    status_view_add(&text, report, table_width(false));
    fputs(text.data, stdout);
    buf_done(&text);
}

int status_run(const struct ctl_config *config, int argc, char **argv)
{
    bool json = false;
    bool whole = false;

    if (ctl_take_flag(argc, argv, "--json", &json))
        return CTL_USAGE;
    json_t *report = status_gather(config, NULL, &whole);
    if (json)
        report_print_json(report);
    else
        print_tables(report);
    json_decref(report);
    return whole ? CTL_DONE : CTL_FAILED;
}
