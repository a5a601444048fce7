#!/usr/bin/php
<?php
// emit.php TENANT METRIC QUANTITY ID: emits one event, and sends it again until Redis has it. REDIS_URL says where Redis is.
const PATIENCE_S = 60;

function emit(array $event): string
{
    $server = parse_url(getenv('REDIS_URL') ?: 'redis://127.0.0.1:6379');
    $until = time() + PATIENCE_S;
    for (;;) {
        try {
            $redis = new Redis();
            $redis->connect($server['host'], $server['port'] ?? 6379, 5, null, 0, 5);
            if (isset($server['pass'])) {
                $redis->auth(array_values(array_filter([urldecode($server['user'] ?? ''), urldecode($server['pass'])], 'strlen')));
            }
            // The same event each time, so it counts once, however often it arrives.
            $entry = $redis->xAdd('usage:events', '*', $event);
            if ($entry === false) {
                throw new RedisException($redis->getLastError()); // a replica, or a full one
            }
            return $entry;
        } catch (RedisException $error) {
            if (time() > $until) {
                throw $error; // Keep the event, with its id and ts, and send it later.
            }
            usleep(200000);
        }
    }
}

[, $tenant, $metric, $quantity, $id] = $argv;
$ts = (string) (int) (microtime(true) * 1000);
echo emit(['id' => $id, 'tenant' => $tenant, 'metric' => $metric, 'quantity' => $quantity, 'ts' => $ts]), "\n";
