-- The ledger: positions in the streams, raw events in columns, minute rows and period totals.

-- Who this ledger is: one row. Each stream in Redis and each hash of the quota cache name it, so that the stages of
-- another ledger leave them alone. takeovers rises with each `meterctl stream adopt`: of two ledgers, the one that
-- took over last has the hashes.
CREATE TABLE ledger_identity (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    ledger_id uuid NOT NULL DEFAULT gen_random_uuid(),
    takeovers integer NOT NULL DEFAULT 0,
    life      text,                            -- ledger_life() when it was last known to be whole; NULL: no sink yet
    picks     bigint NOT NULL DEFAULT 0,       -- how often sinks took submissions to send: Redis knows the greatest
    suspicion text,                            -- why sinks were last held: behind (Redis knows of more), unknown
    redis_run text,                            -- the run_id of the Redis that sinks last saw; NULL: none
    alive_at  timestamptz                      -- when a sink last found it whole, to a minute or so
);
INSERT INTO ledger_identity DEFAULT VALUES;

-- One row a stream: how far its current epoch is counted. A stream's epoch ends when Redis loses data.
CREATE TABLE stream_positions (
    stream      text COLLATE "C" PRIMARY KEY,
    epoch       integer NOT NULL DEFAULT 1,
    token       uuid NOT NULL DEFAULT gen_random_uuid(), -- of the epoch; Redis keeps it with the entries
    last_id     text COLLATE "C" NOT NULL DEFAULT '0-0', -- Redis entry id: everything up to it is in the ledger
    owner       text COLLATE "C",              -- the aggregator process that holds the lease
    lease_until timestamptz,                   -- by this database's clock
    base        numeric(20) NOT NULL DEFAULT 0, -- the stream's entries-added when the epoch opened
    counted     bigint NOT NULL DEFAULT 0,
    duplicates  bigint NOT NULL DEFAULT 0,
    rejected    bigint NOT NULL DEFAULT 0,
    conflicts   bigint NOT NULL DEFAULT 0,
    lost        bigint NOT NULL DEFAULT 0,     -- entries that Redis or PostgreSQL lost, as far as was seen
    added_seen  numeric(20) NOT NULL DEFAULT 0, -- entries-added when last looked at
    batches     bigint NOT NULL DEFAULT 0,     -- batches committed, all epochs
    repeats_until text COLLATE "C" NOT NULL DEFAULT '0-0', -- entries up to here may be ones that an earlier epoch counted
    dedupe_window_s bigint,                    -- how far back repeated ids are known, as its owner last told
    reset_token uuid,                          -- of the epoch that `meterctl stream reset` or `adopt` is about to open
    seal        bytea,                         -- of the newest batch: see stream_batches
    updated_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- The aggregators that run, so that they share the streams evenly.
CREATE TABLE aggregator_members (
    owner      text COLLATE "C" PRIMARY KEY,
    joined_at  timestamptz NOT NULL,
    seen_until timestamptz NOT NULL            -- by this database's clock
);

-- The daemons that run, as they tell it every 5 s; who ends in peace takes its row along, so that an old heartbeat is
-- somebody who died. It is for people: streams are shared by aggregator_members, whose rows end after 3 s, and are
-- only those that can work.
CREATE TABLE stage_instances (
    instance   text COLLATE "C" PRIMARY KEY,
    stage      text NOT NULL,                  -- aggregator, sink, webhookd, …
    version    text NOT NULL,
    host       text NOT NULL,
    pid        bigint NOT NULL,
    started_at timestamptz NOT NULL,           -- by this database's clock, as seen_at
    seen_at    timestamptz NOT NULL,
    ready      boolean NOT NULL,
    reason     text                            -- what is missing while it is not ready, or held while it is
);

-- silent: no heartbeat for 20 s. gone: and one of its stage was started since.
CREATE VIEW stage_instance_states WITH (security_invoker = true) AS
SELECT i.*,
       CASE WHEN i.seen_at >= clock_timestamp() - interval '20 s' THEN CASE WHEN i.ready THEN 'ready' ELSE 'not_ready' END
            WHEN EXISTS (SELECT FROM stage_instances n
                          WHERE n.stage = i.stage AND n.instance <> i.instance AND n.started_at > i.seen_at) THEN 'gone'
            ELSE 'silent' END AS state
  FROM stage_instances i;

-- Epochs that ended, with their final balance.
CREATE TABLE stream_epochs (
    stream     text COLLATE "C" NOT NULL,
    epoch      integer NOT NULL,
    token      uuid NOT NULL,
    last_id    text COLLATE "C" NOT NULL,
    added      bigint NOT NULL,
    counted    bigint NOT NULL,
    duplicates bigint NOT NULL,
    rejected   bigint NOT NULL,
    conflicts  bigint NOT NULL,
    lost       bigint NOT NULL,
    reason     text NOT NULL,
    closed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, epoch)
);

-- Entries that a person knows to be lost (`meterctl lost accept`, `restore accept`): the audit asks for nobody any more.
CREATE TABLE lost_accepted (
    stream      text COLLATE "C" NOT NULL,
    epoch       integer NOT NULL,
    lost        bigint NOT NULL CHECK (lost > 0), -- of the epoch, when it was accepted
    accepted_at timestamptz NOT NULL DEFAULT now(),
    accepted_by text NOT NULL DEFAULT session_user,
    PRIMARY KEY (stream, epoch)
);

-- Numbers batches. Not from stream_positions: two aggregators that dispute a stream must not wait for
-- each other on one number.
CREATE SEQUENCE usage_batch;

-- One row is one slice of one batch, in parallel arrays. Entry ids are unsigned in Redis; their bits are
-- kept in bigint. An array that would hold only NULLs is NULL itself. A retraction is an event of its own: id,
-- metric, fields and time of use of the event that it takes back, and that one's quantity negated.
CREATE TABLE usage_batches (
    day          date NOT NULL,             -- UTC day of the commit
    stream       text COLLATE "C" NOT NULL,
    epoch        integer NOT NULL,
    batch        bigint NOT NULL,           -- from usage_batch: unique, and rising within a stream
    slice        smallint NOT NULL,
    catalog_version bigint NOT NULL,        -- of the definitions that it was counted by: metric_versions
    events       integer NOT NULL CHECK (events > 0),
    occurred_min timestamptz NOT NULL,
    occurred_max timestamptz NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now(),
    entry_first_ms bigint NOT NULL,         -- of the whole batch's first entry, counted or not, Unix ms …
    entry_last_ms bigint NOT NULL,          -- … and of its last; cut to 63 bits
    entry_ms     bigint[] NOT NULL,
    entry_seq    bigint[] NOT NULL,
    tenants      text[] COLLATE "C" NOT NULL,
    metrics      text[] COLLATE "C" NOT NULL,
    ids_uuid     uuid[],                    -- ids that are UUIDs in lower case, …
    ids_text     text[] COLLATE "C",        -- … all other given ids; both NULL: the entry's own id
    quantities   numeric[] NOT NULL,
    occurred_ms  bigint[] NOT NULL,
    fields       text[],                    -- all other fields, canonical JSON; NULL: none
    retracts     smallint[],                -- NULL: usage; 1: takes back a given id, 2: an id by default
    id_minutes   integer[],                 -- minutes since 1970 that ids were made in, as they say; NULL: none says so
    PRIMARY KEY (batch, slice, day)
) PARTITION BY RANGE (day);
ALTER TABLE usage_batches
    ALTER entry_ms SET COMPRESSION lz4, ALTER entry_seq SET COMPRESSION lz4,
    ALTER tenants SET COMPRESSION lz4, ALTER metrics SET COMPRESSION lz4,
    ALTER ids_uuid SET COMPRESSION lz4, ALTER ids_text SET COMPRESSION lz4,
    ALTER quantities SET COMPRESSION lz4, ALTER occurred_ms SET COMPRESSION lz4,
    ALTER fields SET COMPRESSION lz4, ALTER retracts SET COMPRESSION lz4;
CREATE INDEX usage_batches_committed ON usage_batches (stream, committed_at);
CREATE INDEX usage_batches_occurred ON usage_batches (slice, occurred_min, occurred_max);
CREATE INDEX usage_batches_entries ON usage_batches (stream, epoch, entry_last_ms);
-- To find an id that tells when it was made: see read_old_events.sql of the aggregator.
CREATE INDEX usage_batches_id_minutes ON usage_batches USING gin (id_minutes) WITH (fastupdate = off)
    WHERE id_minutes IS NOT NULL;

-- Entries that were repeats of others. What became of an entry is looked up here, in usage_batches and in
-- rejected_events, should its stream be read again since Redis lost what came after it. Goes with usage_batches.
CREATE TABLE usage_repeats (
    day           date NOT NULL,            -- UTC day of the commit
    stream        text COLLATE "C" NOT NULL,
    epoch         integer NOT NULL,
    batch         bigint PRIMARY KEY,
    entry_last_ms bigint NOT NULL,          -- as in usage_batches
    entry_ms      bigint[] NOT NULL,
    entry_seq     bigint[] NOT NULL,
    contents      bigint[] NOT NULL         -- what each said: a hash that needs no key, see entry_content.h
);
ALTER TABLE usage_repeats
    ALTER entry_ms SET COMPRESSION lz4, ALTER entry_seq SET COMPRESSION lz4, ALTER contents SET COMPRESSION lz4;
CREATE INDEX usage_repeats_entries ON usage_repeats (stream, epoch, entry_last_ms);
CREATE INDEX usage_repeats_day ON usage_repeats (day);


-- What retention dropped, so that the balance still adds up.
CREATE TABLE usage_batches_dropped (
    stream       text COLLATE "C" NOT NULL,
    epoch        integer NOT NULL,
    day          date NOT NULL,
    events       bigint NOT NULL,
    occurred_max timestamptz NOT NULL,      -- minutes up to then cannot be recomputed from raw events
    dropped_at   timestamptz NOT NULL DEFAULT now(),
    checksum     bytea,                     -- dropped_day_checksum
    PRIMARY KEY (stream, epoch, day)
);

CREATE TABLE rejected_events (
    rejected_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream      text COLLATE "C" NOT NULL,
    epoch       integer NOT NULL,
    batch       bigint,                     -- that it was read with, as in stream_batches
    stream_id   text COLLATE "C" NOT NULL,
    tenant      text COLLATE "C",           -- where it could be read
    reason      text NOT NULL,
    detail      text NOT NULL,              -- which field, and why
    fields      jsonb NOT NULL,             -- [[name, value], …]
    content     bigint,                     -- a hash of all that it said, see entry_content.h
    rejected_at timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz
);
CREATE INDEX rejected_events_time ON rejected_events (rejected_at);
CREATE INDEX rejected_events_entry ON rejected_events (stream, stream_id);
CREATE INDEX rejected_events_tenant ON rejected_events (tenant, rejected_at);
CREATE INDEX rejected_events_to_move ON rejected_events (rejected_id) WHERE reason = 'wrong_shard' AND replayed_at IS NULL;

CREATE TABLE rejected_events_dropped (
    stream     text COLLATE "C" NOT NULL,
    epoch      integer NOT NULL,
    conflict   boolean NOT NULL,            -- the balance counts conflicts apart
    day        date NOT NULL,               -- UTC, of rejected_at
    events     bigint NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, epoch, conflict, day)
);

-- What each batch of a stream was, those without a counted event too. Chained: seal is a hash of the row and of the seal
-- before it, and the newest one stands with the position. So `meterctl audit` finds what was altered, left out or put in
-- between: raw events, repeats, rejected entries, ended epochs, and a base or a loss that was moved.
CREATE TABLE stream_batches (
    stream       text COLLATE "C" NOT NULL,
    number       bigint NOT NULL,           -- from 1 in each stream
    batch        bigint NOT NULL,           -- as in usage_batches
    epoch        integer NOT NULL,
    from_id      text COLLATE "C" NOT NULL, -- read from behind this entry …
    last_id      text COLLATE "C" NOT NULL, -- … up to this one
    counted      bigint NOT NULL,
    duplicates   bigint NOT NULL,
    rejected     bigint NOT NULL,
    conflicts    bigint NOT NULL,
    base         numeric(20) NOT NULL,      -- of the position then
    lost         bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now(),
    contents     bytea NOT NULL,            -- BLAKE2b of the raw events as the aggregator sent them: common/batch_digest.h
    rejects      bytea,                     -- SHA-256 of the checksums of what was rejected; NULL: nothing
    repeats      bytea,                     -- repeats_checksum; NULL: there were none
    ended        bytea,                     -- ended_epoch_checksum of the epoch before; NULL: there is none
    seal         bytea NOT NULL,            -- stream_batch_seal
    PRIMARY KEY (stream, number)
);
CREATE UNIQUE INDEX stream_batches_batch ON stream_batches (batch);

-- Where a stream's chain begins once retention has dropped the batches before: one row an epoch, with their sums.
CREATE TABLE stream_batches_dropped (
    stream     text COLLATE "C" NOT NULL,
    epoch      integer NOT NULL,
    number     bigint NOT NULL,             -- the newest one dropped
    seal       bytea NOT NULL,              -- of it
    counted    bigint NOT NULL,
    duplicates bigint NOT NULL,
    rejected   bigint NOT NULL,
    conflicts  bigint NOT NULL,
    checksum   bytea,                       -- dropped_batches_checksum
    PRIMARY KEY (stream, epoch)
);

-- Batches that are not yet in usage_aggregates and usage_totals, with their minute sums in parallel arrays. fold_usage
-- takes them over: in the transaction that added them, or, in a backlog with many keys, many batches at once. There,
-- the aggregator keeps the sums in memory, and one row in the end has those of all; if it cannot write that any more,
-- the raw events tell.
CREATE TABLE usage_pending (
    batch      bigint PRIMARY KEY,
    stream     text COLLATE "C" NOT NULL,
    tenants    text[] COLLATE "C" NOT NULL DEFAULT '{}',
    metrics    text[] COLLATE "C" NOT NULL DEFAULT '{}',
    dimensions text[] COLLATE "C" NOT NULL DEFAULT '{}', -- canonical JSON
    minutes    timestamptz[] NOT NULL DEFAULT '{}',
    events     bigint[] NOT NULL DEFAULT '{}',
    sums       numeric[] NOT NULL DEFAULT '{}',
    mins       numeric[] NOT NULL DEFAULT '{}',
    maxs       numeric[] NOT NULL DEFAULT '{}',
    lasts      text[] COLLATE "C" NOT NULL DEFAULT '{}', -- the last value, with its place: see last_value
    from_raw   boolean NOT NULL DEFAULT false -- the batch's sums are in no row of this table
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
ALTER TABLE usage_pending
    ALTER tenants SET COMPRESSION lz4, ALTER metrics SET COMPRESSION lz4, ALTER dimensions SET COMPRESSION lz4,
    ALTER minutes SET COMPRESSION lz4, ALTER events SET COMPRESSION lz4, ALTER sums SET COMPRESSION lz4,
    ALTER mins SET COMPRESSION lz4, ALTER maxs SET COMPRESSION lz4, ALTER lasts SET COMPRESSION lz4;

CREATE TABLE usage_aggregates (
    tenant        text COLLATE "C" NOT NULL,
    metric        text COLLATE "C" NOT NULL,
    dimensions    jsonb NOT NULL DEFAULT '{}',
    minute_at     timestamptz NOT NULL,
    events        bigint NOT NULL,
    quantity_sum  numeric(38,9) NOT NULL,
    quantity_min  numeric(38,9) NOT NULL,
    quantity_max  numeric(38,9) NOT NULL,
    quantity_last numeric(38,9) NOT NULL,
    last_ms       bigint NOT NULL,          -- when the last one was used, Unix ms; then …
    last_entry    bytea NOT NULL,           -- … its entry id: both halves big endian, so that order is order
    PRIMARY KEY (tenant, metric, minute_at, dimensions)
) WITH (fillfactor = 70);

-- Rises with every change of totals. A tenant has one writer at a time, so its versions rise too.
CREATE SEQUENCE usage_version;

CREATE TABLE usage_totals (
    tenant       text COLLATE "C" NOT NULL,
    metric       text COLLATE "C" NOT NULL,
    period_start timestamptz NOT NULL,
    period_end   timestamptz NOT NULL,
    quantity     numeric(38,9) NOT NULL,
    version      bigint NOT NULL,
    last_ms      bigint NOT NULL,           -- as in usage_aggregates
    last_entry   bytea NOT NULL,
    -- Where the limit counts over another window than the period: the window, and the part of it in this period. NULL:
    -- it counts over the period. window_end -infinity: to be worked out anew, see open_usage_windows.
    window_start    timestamptz,
    window_end      timestamptz,
    window_quantity numeric(38,9),          -- NULL: none (of a greatest value)
    -- From which quantity on, of the window if there is one, the next threshold of a limit may be passed.
    alert_at        numeric NOT NULL DEFAULT 'Infinity',
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, metric, period_start)
) WITH (fillfactor = 70);
CREATE INDEX usage_totals_period_end ON usage_totals (period_end);
CREATE INDEX usage_totals_window ON usage_totals (tenant, metric) WHERE window_end = '-infinity';

-- Tenants whose limits count over other windows since: an aggregator writes `used` of theirs into the quota cache anew,
-- and takes the rows away.
CREATE TABLE usage_window_changes (
    tenant text COLLATE "C" PRIMARY KEY
);

-- The different values of the dimensions of metrics with aggregation unique, by period.
CREATE TABLE usage_uniques (
    tenant       text COLLATE "C" NOT NULL,
    metric       text COLLATE "C" NOT NULL,
    period_start timestamptz NOT NULL,
    dimensions   jsonb NOT NULL,
    events       bigint NOT NULL,           -- less those retracted
    PRIMARY KEY (tenant, metric, period_start, dimensions)
);

-- Minutes of which a retraction took something back: fold_usage counts them anew from the raw events.
CREATE TABLE usage_recounts (
    tenant     text COLLATE "C" NOT NULL,
    metric     text COLLATE "C" NOT NULL,   -- of the event; those derived from it are counted anew too
    minute_at  timestamptz NOT NULL,
    stream     text COLLATE "C" NOT NULL,
    batch      bigint NOT NULL              -- of the retraction
);
CREATE INDEX usage_recounts_stream ON usage_recounts (stream);
