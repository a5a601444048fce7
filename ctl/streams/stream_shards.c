#include "ctl/streams/stream_shards.h"

#include "ctl/db.h"
#include "ctl/sql.h"

int stream_shards_read(PGconn *conn, int64_t setting, int64_t *shards, struct err *e)
{
    *shards = setting;
    if (setting > 0)
        return 0;
    PGresult *result = db_query(conn, SQL_READ_STREAM_SHARDS, 0, NULL, e);
    if (!result)
        return err_wrap(e, "postgres");
    *shards = db_i64(result, 0, 0);
    PQclear(result);
    return 0;
}
