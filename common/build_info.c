#include "common/build_info.h"

#include "common/contract.h"
#include "common/metric_table.h"
#include "revision.h" /* made by the Makefile */

void build_info_export(void)
{
    static const char LABELS[] =
        "version=\"" METERLINE_VERSION "\",revision=\"" METERLINE_REVISION "\"";
    metric_set(metric_of(METRIC_OF_BUILD_INFO, LABELS), 1);
}
