#include "sink/claim/unclaimed.h"

#include "common/metric_table.h"
#include "common/pg/pg.h"
#include "common/str.h"

#include <stdlib.h>

static void set_row(const PGresult *rows, int row)
{
    char *labels = xasprintf("metric=\"%s\",reason=\"%s\",age=\"%s\"", PQgetvalue(rows, row, 0),
                             PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 2));

    metric_set(metric_of(METRIC_OF_UNCLAIMED, labels), pg_get_i64(rows, row, 3));
    free(labels);
}

void unclaimed_export(const PGresult *rows)
{
    metric_clear(METRIC_OF_UNCLAIMED);
    for (int row = 0; row < PQntuples(rows); row++)
        set_row(rows, row);
}
