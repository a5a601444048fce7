#!/bin/bash
# emit.sh TENANT METRIC QUANTITY ID: emits one event, and sends it again until Redis has it. REDIS_URL says where Redis is.
set -euo pipefail
ts=$(date +%s%3N) # the same each time, as the id is: then it counts once, however often it arrives
for _ in {1..300}; do
    entry=$(redis-cli -u "${REDIS_URL:-redis://127.0.0.1:6379}" --raw -e XADD usage:events '*' id "$4" tenant "$1" metric "$2" \
        quantity "$3" ts "$ts" 2>/dev/null) && echo "$entry" && exit 0
    sleep 0.2
done
echo "Redis does not answer: keep the event, and send it later" >&2
exit 1
