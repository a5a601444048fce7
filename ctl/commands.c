/* The commands of meterctl and their help. */
#include "ctl/ctl.h"

const struct ctl_command CTL_COMMANDS[] = {
    {.words = {"migrate"},
     .arguments = "[--dry-run]",
     .what = "Bring the database's schema to this build's version.",
     .detail =
         "Runs as the URL's own user, who will own the tables and must be allowed to make roles\n"
         "(CREATEROLE) the first time. Safe to run twice, and from two places at once. All of it "
         "is\n"
         "one transaction: after a failure nothing has changed. Functions whose text has changed\n"
         "are replaced; a migration whose text has changed since it was applied is an error.\n"
         "--dry-run: only say what would be done.\n",
     .run = migrate_run},
    {.words = {"catalog", "apply"},
     .arguments = "FILE",
     .what = "Make FILE the catalog: its metrics, plans and limits. - is standard input.",
     .detail =
         "All faults of the file are told at once, each with its path. One transaction; what the\n"
         "file no longer has is retired, never deleted. A metric that has usage keeps its\n"
         "aggregation.\n",
     .run = catalog_apply_run},
    {.words = {"catalog", "show"},
     .arguments = "",
     .what = "Print the catalog in force, in the form that `catalog apply` takes.",
     .detail = "",
     .run = catalog_show_run},
    {.words = {"limits", "show"},
     .arguments = "[TENANT] [--json] [--wide]",
     .what = "Show what a tenant may use: by its plan, and by limits of its own.",
     .detail = "Without TENANT: of all tenants that have limits of their own.\n",
     .run = limits_show_run},
    {.words = {"limits", "set"},
     .arguments = "TENANT METRIC [--included N | --unlimited] [--cap CAP] [--new]",
     .what = "Give a tenant a limit of its own, in place of its plan's.",
     .detail =
         "What is not said stays as it was, or as the plan has it. CAP: none, soft (over it is\n"
         "allowed and told) or hard (denied). It takes hold at once, and is in the quota cache\n"
         "within a second while webhookd runs. --new: nothing is known of that tenant yet.\n",
     .run = limits_set_run},
    {.words = {"limits", "unset"},
     .arguments = "TENANT [METRIC]",
     .what = "Take a tenant's own limit away, or all of them: its plan's hold again.",
     .detail = "",
     .run = limits_unset_run},
    {.words = {"audit"},
     .arguments = "[--json]",
     .what = "Check that every event is accounted for and every counted unit is billed or waits.",
     .detail =
         "One line for each stream and epoch: added = counted + duplicates + rejected + conflicts\n"
         "+ lost + waiting. Then raw events, rejected entries, totals, minutes and claims against\n"
         "each other. Ends with `audit ok` (exit 0), `audit unbalanced` (exit 1), or, where all\n"
         "adds up and a person must act (exit 4), with what waits:\n"
         "  audit balanced, attention: lost=100 failed=13280\n"
         "  lost       entries that are gone (meterctl lost list, lost accept)\n"
         "  failed     units that Stripe refused (meterctl submissions list --state failed)\n"
         "  in_doubt   units of which nobody knows whether Stripe has them: reconciliation tells\n"
         "  late       units too late for their invoice, not decided on (meterctl late list)\n"
         "  too_large  values of more than 15 digits, which Stripe does not take\n"
         "  drift      units that Stripe holds otherwise than they were sent (meterctl reconcile)\n"
         "  meter_held units not sent, since Stripe's meter is missing or counts otherwise\n"
         "             (meterctl status says which, and why)\n"
         "  unmapped   units of a tenant with a subscription that have no place at Stripe: its\n"
         "             customer is gone, or the subscription lacks an item (meterctl status)\n"
         "  not_compared  units not sent, since nobody knows whether they were before a restore\n"
         "             (a sink asks Stripe; if they were: meterctl restore accept)\n"
         "  sink_hold  sinks send nothing (meterctl restore accept)\n"
         "Not among them, as there is nothing to do: what tenants without a subscription use\n"
         "(`unmapped`), and what one used before its subscription began (`before_subscription`),\n"
         "neither of which is ever billed. meterctl status shows both.\n"
         "Exit 3 if it could not be checked. It only reads, and may run at any time.\n",
     .run = audit_run},
    {.words = {"doctor"},
     .arguments = "[--json]",
     .what =
         "Look at all that the line needs: PostgreSQL, the stages, Redis, Stripe's key, meters, "
         "prices, endpoint.",
     .detail = "A line each: ok, warn (it works, and could be better) or BAD, with what to do; "
               "exit 1 if\n"
               "anything is BAD. It only reads. Set STRIPE_SECRET_KEY as the sink has it.\n",
     .run = doctor_run},
    {.words = {"status"},
     .arguments = "[--json]",
     .what = "Show each stage, what waits for it and since when, and what is not billed yet.",
     .detail =
         "Ends within 5 s, whatever hangs: what could be read is shown, and exit 1 if Redis or\n"
         "PostgreSQL is down, or not all could be read in time.\n"
         "instances: the daemons, by a heartbeat every 5 s. `silent`: none for 20 s, it died or\n"
         "cannot reach PostgreSQL (up_s: until then; shown for an hour). `gone`: and another one\n"
         "was started in its place (shown for 5 minutes). `missing`: of that stage nobody runs\n"
         "(`--once` is not shown).\n"
         "depth: entries in the stream. lag: by the group `aggregator`. waiting: not counted yet.\n"
         "rejected: `pending` were not replayed. table_age_s: since a tenant's limits were "
         "brought\n"
         "up to date, at worst. used_age_s, limits_age_s: since aggregator and webhookd last\n"
         "went over the whole quota cache, which they do every minute; `sample`: it has more than\n"
         "`cached` tenants.\n"
         "meters: of these nothing is sent until Stripe's meter is as it should be.\n",
     .run = status_run},
    {.words = {"watch"},
     .arguments = "",
     .what = "Keep showing the status, every 2 s.",
     .detail =
         "On one screen; the last line tells what has no room there (how many lines of which\n"
         "part). q ends it. Elsewhere than on a terminal it prints one report after the other.\n",
     .run = watch_run},
    {.words = {"stream", "reset"},
     .arguments = "",
     .what = "Bring a stream back that an entry with an id of its own drove into the future.",
     .detail =
         "Entries that wait stay, and are counted once: those whose ids are in the future get ids\n"
         "of now. The stream's epoch ends with its balance and a new one begins. Aggregators and\n"
         "services may run meanwhile. A stream that is not in the future is left as it is.\n"
         "Consumer groups other than ours are dropped. Redis is busy for about 1 s for each\n"
         "200,000 entries that wait: let aggregators count what they can before.\n",
     .run = stream_reset_run},
    {.words = {"stream", "adopt"},
     .arguments = "[--yes]",
     .what = "Let this ledger take over streams that another ledger counted.",
     .detail =
         "Shows each stream that belongs to another ledger, and does nothing without --yes. With "
         "it\n"
         "this ledger counts them from where the other one had come to: what was counted before\n"
         "stays in the other ledger alone. If this ledger had counted the stream before, what the\n"
         "other one counted since is booked as lost. The other's hashes go from the quota cache, "
         "and\n"
         "sinks hold until `restore accept`. Stop the other ledger's stages first.\n",
     .run = stream_adopt_run},
    {.words = {"stream", "lost"},
     .arguments = "[--yes]",
     .what = "Book entries that somebody removed from a stream before they were counted.",
     .detail =
         "XTRIM, XDEL and XADD with MAXLEN take away what waits: the audit then has a difference.\n"
         "Shows how many were removed from which stream, and does nothing without --yes. With it\n"
         "they are booked as lost, and accepted (`lost list` shows them), and all adds up again.\n"
         "Aggregators may run meanwhile: each stream stops for a moment.\n",
     .run = stream_lost_run},
    {.words = {"rejected", "list"},
     .arguments =
         "[--tenant T] [--reason R] [--since T] [--pending] [--summary] [--limit N] [--json] "
         "[--wide]",
     .what = "List entries that were not counted, the newest first, with why.",
     .detail = "At most 50, or --limit. --json has their fields too. --since is a time\n"
               "(2026-11-21T10:00Z) or an age (36h, 7d).\n",
     .run = rejected_list_run},
    {.words = {"rejected", "show"},
     .arguments = "ID [--json]",
     .what = "Show one of them, with all its fields.",
     .detail = "",
     .run = rejected_show_run},
    {.words = {"rejected", "replay"},
     .arguments = "ID... | --tenant T, --reason R, --since T | --all [--round N] [--yes] "
                  "[--again] [--dry-run]",
     .what = "Send rejected entries into their streams once more, such as when a metric was added.",
     .detail =
         "Tells first how many can be sent; by filter or --all it then wants --yes. They lie at "
         "the\n"
         "time when they were used: an entry without `ts` gets the time of the original one. They\n"
         "count once, however often they are sent: one without `id` gets an id made of the stream\n"
         "and the original entry's id. Skipped, and told: what was replayed before (but with\n"
         "--again); entries that were cut at 64 KiB; usage of more than 35 days ago; conflicts:\n"
         "the event with that id is counted with other content; and whatever would be refused "
         "again\n"
         "for what stands in it, such as a metric that is not in the catalog yet. Only of a\n"
         "retraction nobody can tell before whether its event was counted meanwhile; one that is\n"
         "refused once more is a new rejected entry.\n"
         "--round N (0 to 9) sets quantities right that have too many decimals, such as\n"
         "0.30000000000000004, or an exponent, such as 1e-7: to N decimals, half away from zero\n"
         "(0.5 to 1, -0.5 to -1, where N is 0), by their digits, not by floats. Those that are\n"
         "right stay as they are; what is no number at all is skipped, and told.\n"
         "Exit 1 if entries named by ID were not all sent.\n",
     .run = rejected_replay_run},
    {.words = {"events"},
     .arguments = "--tenant T [--metric M] [--from T] [--to T] [--format ndjson|csv] [--limit N]",
     .what = "Print a tenant's raw events by time of use, as NDJSON or CSV.",
     .detail =
         "From --from until before --to: 2026-11-21T10:00Z (UTC where no zone is given), or an "
         "age\n"
         "(36h, 7d). Quantities are exact decimals in strings. A retraction is an event of its "
         "own\n"
         "(`retraction` true) with the id of the one it takes back and its quantity negated.\n"
         "`dimensions` is a JSON object, in CSV too. Memory does not grow with the number of "
         "rows.\n",
     .run = events_run},
    {.words = {"submissions", "list"},
     .arguments =
         "[--state S] [--tenant T] [--metric M] [--period P] [--since T] [--limit N] [--json] "
         "[--wide]",
     .what = "List what was handed to Stripe, or waits for it, the newest first.",
     .detail =
         "At most 50, or --limit. --period is `current` or a time in the billing period that\n"
         "counts it; --since a time (2026-11-21T10:00Z) or an age (36h, 7d).\n",
     .run = submissions_list_run},
    {.words = {"submissions", "show"},
     .arguments = "IDENTIFIER [--json]",
     .what = "Show all of one: its body, tries, answer, and what becomes of it.",
     .detail = "",
     .run = submissions_show_run},
    {.words = {"submissions", "retry"},
     .arguments = "IDENTIFIER... | --state failed [--tenant T] --yes [--anyway]",
     .what = "Have the quantity of submissions that failed claimed anew.",
     .detail =
         "A submission is never sent again as it is: it becomes `void`, and the sink claims its\n"
         "quantity anew, under another identifier and in another minute. Only `failed` ones: what\n"
         "is in_doubt Stripe may hold, and reconciliation decides (meterctl reconcile). Skipped\n"
         "is, too, one of which Stripe holds, or may hold, something, but with --anyway. Exit\n"
         "1 if one that was named was not retried.\n",
     .run = submissions_retry_run},
    {.words = {"lost", "list"},
     .arguments = "[--json]",
     .what = "List streams that lost entries, and which losses were accepted.",
     .detail =
         "Entries are lost where Redis or PostgreSQL lost data and nobody has them any more.\n",
     .run = lost_list_run},
    {.words = {"lost", "accept"},
     .arguments = "[--yes]",
     .what = "Note that you know of the entries that were lost, so that `audit` asks no more.",
     .detail =
         "They stay in the balance. What is lost later has to be accepted anew. Does nothing\n"
         "without --yes; it is noted when, and by which login.\n",
     .run = lost_accept_run},
    {.words = {"late", "list"},
     .arguments = "[--tenant T] [--json] [--wide]",
     .what = "List usage that came too late for its invoice, and what was decided.",
     .detail = "",
     .run = late_list_run},
    {.words = {"late", "carry"},
     .arguments = "IDENTIFIER... | --tenant T | --all [--yes]",
     .what = "Have late usage billed in the tenant's current period.",
     .detail =
         "By --tenant or --all: what has no decision yet, and it wants --yes. One that is named\n"
         "may have been dropped before. The sink acts at its next claim; each decision is noted\n"
         "in billing_history. Skipped are values (max, last, unique): an old one would replace\n"
         "the current one. Exit 1 if one that was named was not decided.\n",
     .run = late_carry_run},
    {.words = {"late", "drop"},
     .arguments = "IDENTIFIER... | --tenant T | --all [--yes]",
     .what = "Never bill late usage; it stays visible as dropped.",
     .detail =
         "As `late carry`; one that is named may be carried, if the sink has not acted yet.\n",
     .run = late_drop_run},
    {.words = {"explain"},
     .arguments = "--tenant T --metric M --period P [--format table|csv|json] [--events] [--wide]",
     .what = "From the number on an invoice down to submissions, minutes and events, adding up.",
     .detail =
         "--period is `current` or a time in the billing period (2026-11-21). Each row tells what\n"
         "it adds to the level above it: the submissions, and what is in none, make the total; so\n"
         "do all minutes; so do all events. Of max, last and unique just the rows that decide add\n"
         "anything. csv and json list the events, a table does with --events. Events that were\n"
         "taken back are listed and add nothing; those that retention dropped are told as a sum.\n"
         "What `late carry` moved counts for the period of its usage, as moved_out, and is named\n"
         "as moved_in where it is billed: that invoice holds its own submissions and moved_in.\n"
         "One snapshot; memory does not grow with the events. The last line proves it: exit 1 if\n"
         "the difference is not 0.\n",
     .run = explain_run},
    {.words = {"rebuild"},
     .arguments = "--check [--tenant T] [--from T] [--to T] [--json] | --repair [--tenant T] "
                  "[--metric M] [--yes] [--json]",
     .what = "Count minutes and totals once more from the raw events, and compare bit for bit.",
     .detail =
         "One snapshot, day by day; aggregators may run. Prints at most 100 differences, and how\n"
         "many there are. Batches that wait to be folded are named: they are not in the minutes\n"
         "yet. Usage whose raw events retention has dropped cannot be checked, and is told. Times\n"
         "are those of use: 2026-11-21T10:00Z (UTC where no zone is given), or an age (36h, 7d).\n"
         "Ends with `rebuild ok` (exit 0) or `rebuild differs` (exit 1); exit 3 if it could not "
         "be\n"
         "checked. It only reads.\n"
         "\n"
         "--repair sets right what metrics that carry their last value over (seats, storage) have\n"
         "in each period: totals that are wrong, and those that are missing, by the minutes.\n"
         "Aggregators and sinks may run; the sink claims the difference. Without --yes it only\n"
         "tells (exit 1 if there is something to do).\n",
     .run = rebuild_run},
    {.words = {"retention", "apply"},
     .arguments = "[--dry-run] [--json]",
     .what = "Drop raw events, rejected entries and webhook bodies that are past their keep.",
     .detail =
         "Whole days of raw events, by the day of their commit (RAW_KEEP_DAYS); a day is kept, "
         "and\n"
         "told why, while it is needed:\n"
         "  usage       an event of it was used later than the keep\n"
         "  not_folded  a batch of it is not yet in the minute rows\n"
         "  submission  a submission that is pending, sending, held, failed, in_doubt or late\n"
         "  unclaimed   a total that waits to be claimed, or is too large to be; what is not\n"
         "              billed does not wait\n"
         "              (both: the tenant has usage in that day that lies in their billing "
         "period)\n"
         "`locked` could not be dropped since someone reads; `changed` is needed meanwhile. What\n"
         "is dropped is tallied: `audit` adds up, `rebuild --check` leaves its minutes out. The\n"
         "least keep, 36 days, covers events of 35 days ago and any deduplication window. Run it\n"
         "daily, such as by cron.\n",
     .run = retention_apply_run},
    {.words = {"reshard"},
     .arguments = "N",
     .what = "Spread the tenants over N streams from now on.",
     .detail =
         "Everything may run meanwhile. Waits up to 60 s for the streams to be counted, then\n"
         "changes the number in one transaction. Aggregators follow; one whose\n"
         "METERLINE_STREAM_SHARDS is set to another number ends (exit 2): start it with the new "
         "one,\n"
         "or without. Services may follow at any time, by their own setting. What is\n"
         "in another stream than its tenant's is kept as rejected (wrong_shard) and moved to the\n"
         "right one by the aggregators, with its id and time; old keys go when they are empty.\n",
     .run = reshard_run},
    {.words = {"reconcile"},
     .arguments = "[--tenant T] [--period P] [--json] [--wide]",
     .what = "Compare what Stripe holds of each customer, metric and period with what was sent.",
     .detail =
         "Periods that are open or ended up to 35 days ago; --period is a time within one\n"
         "(2026-11-21T10:00Z, 2026-11-21, an age such as 7d) or `current`. Needs "
         "STRIPE_SECRET_KEY.\n"
         "drift: so many units more than were sent. open: may be there or not, since it is under\n"
         "way, in doubt, or was sent within 10 minutes (Stripe's figures come late); it excuses a\n"
         "drift. Each drift is explained by its minutes and the submissions in them, and kept in\n"
         "usage_drift. What is in doubt is resolved where it is due. Ends with a line\n"
         "`reconcile compared=… drifted=… unread=…`; exit 0 without drift, 1 with any, 3 if it "
         "could\nnot be checked.\n",
     .run = reconcile_command_run},
    {.words = {"restore", "hold"},
     .arguments = "[--yes]",
     .what = "Hold sinks after PostgreSQL and Redis were restored to one moment.",
     .detail =
         "Sinks notice by themselves that PostgreSQL went back to before what Redis knows of. "
         "They\n"
         "cannot where Redis went back with it, or where a whole machine was set back to a\n"
         "snapshot: stop them before that, hold them before they start, then `restore accept`.\n"
         "Does nothing without --yes.\n",
     .run = restore_hold_run},
    {.words = {"restore", "accept"},
     .arguments = "[--yes]",
     .what = "Let sinks go on after PostgreSQL was restored and had lost commits.",
     .detail =
         "Prints what was lost; does nothing without --yes. With it each metric and period of a\n"
         "tenant is read at Stripe, at SINK_RATE_PER_S, but for those whose invoice was final in\n"
         "the backup (STRIPE_SECRET_KEY; not needed where nothing is billed): submissions that\n"
         "the ledger takes for unsent and that Stripe holds are sent; what it holds besides is\n"
         "adopted, as submissions `ml-found-…` in the same minutes, and compared once more. If\n"
         "nothing differs, sinks go on with this tenant, while others are still read. They then\n"
         "bring Stripe to what the ledger counts: usage that was lost is taken back, until\n"
         "services send it again. How far it is stands on stderr. Cut off it may be run again,\n"
         "and goes on where it stopped. Exit 1 if something differs, 3 if Stripe could not be\n"
         "read: sinks are still held for those tenants.\n"
         "Usage for customers and event names that come to the ledger later (by webhook, `catalog\n"
         "apply`) is held alone until it is compared, too: a sink does so from an hour after the\n"
         "restore on; what Stripe holds of it is taken over by running this again. Apply the\n"
         "catalog and let webhookd catch up first: fewer of them are left.\n"
         "Stripe's figures come late: run it an hour after the last sink sent something.\n",
     .run = restore_accept_run},
    {.run = NULL},
};
