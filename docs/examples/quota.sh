#!/bin/bash
# quota.sh TENANT METRIC QUANTITY: do something that costs so much, if the tenant may. REDIS_URL says where Redis is.
set -euo pipefail
tenant=$1 metric=$2 quantity=$3
request=$(cat /proc/sys/kernel/random/uuid)
hold_ms=60000 # longer than the work takes

ask() {
    redis-cli -u "${REDIS_URL:-redis://127.0.0.1:6379}" --raw -e "$@"
}

settle() {
    ask FCALL meterline_settle 1 "quota:{$tenant}" "$metric" "$request" "$1" >/dev/null
}

work() {
    echo working
}

answer=$(ask FCALL meterline_reserve 1 "quota:{$tenant}" "$metric" "$quantity" "$request" "$hold_ms")
mapfile -t answer <<<"$answer"
echo "${answer[0]} ${answer[1]}"
[ "${answer[0]}" != deny ] || exit 1
if ! work; then
    settle '' # Given back: nothing was used.
    exit 2
fi
entry=$(ask XADD usage:events '*' id "$request" tenant "$tenant" metric "$metric" quantity "$quantity" ts "$(date +%s%3N)")
settle "$entry"
