/* meterctl doctor: is all that the line needs as it must be? It only reads. */
#include "ctl/doctor/doctor.h"

#include "common/str.h"
#include "ctl/args.h"
#include "ctl/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *row, const char *name)
{
    return json_string_value(json_object_get(row, name));
}

static void print(const struct doctor *d)
{
    size_t i;
    json_t *row;

    json_array_foreach(d->rows, i, row)
    {
        printf("%-5s %-18s %s\n", text_of(row, "result"), text_of(row, "check"),
               text_of(row, "msg"));
    }
    if (d->bad > 0)
        printf("\n%d to set right\n", d->bad);
    else
        puts("\nall is as it must be");
}

int doctor_run(const struct ctl_config *config, int argc, char **argv)
{
    bool json = false;
    struct doctor d = {.config = config};

    if (ctl_take_flag(argc, argv, "--json", &json))
        return CTL_USAGE;
    d.rows = json_array();
    doctor_ask_postgres(&d);
    doctor_ask_redis(&d);
    doctor_ask_stripe(&d);
    if (json)
        report_print_json(d.rows);
    else
        print(&d);
    json_decref(d.rows);
    json_decref(d.metrics);
    json_decref(d.plans);
    return d.bad > 0 ? CTL_FAILED : CTL_DONE;
}
