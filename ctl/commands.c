/* The commands of meterctl and their help, in the order in which somebody new needs them. */
#include "ctl/ctl.h"

/* clang-format off */
const struct ctl_command CTL_COMMANDS[] = {
    {.group = "Set up",
     .words = {"migrate"},
     .arguments = "[--dry-run]",
     .what = "Create the database's tables, or bring them up to this version of meterline.",
     .detail =
         "Run it as the user that is to own the tables: meterline's own roles are made the\n"
         "first time, so that user needs CREATEROLE. It is safe to run twice, and from two\n"
         "places at once. Everything happens in one transaction, so a failure leaves the\n"
         "database as it was. Functions whose text has changed are replaced. A migration whose\n"
         "text has changed since it was applied is an error.\n"
         "--dry-run only says what would be done.\n",
     .run = migrate_run},
    {.words = {"catalog", "apply"},
     .arguments = "FILE",
     .what = "Load the catalog (metrics, plans and their limits) from FILE; - is standard input.",
     .detail =
         "If anything in the file is wrong, every fault is printed with its path, and nothing\n"
         "changes. Otherwise all of it is applied in one transaction. What the file no longer\n"
         "has is retired, not deleted. A metric that has usage keeps its aggregation.\n"
         "\n"
         "A limit counts over its \"window\": \"period\", the billing period, if it says nothing;\n"
         "\"month\", from the billing day, so that a yearly plan can have a monthly allowance; or\n"
         "\"day\" (UTC). Metrics that are summed up, counted or have a greatest value (sum, count,\n"
         "max) may have a month or a day. Those that keep a last value or count different ones\n"
         "(last, unique) are refused one.\n"
         "\n"
         "A limit that is lower than before leaves grace until its window ends: a hard cap does\n"
         "not deny until then. \"on_collection_pause\" beside \"plans\" says what a subscription\n"
         "whose collection is paused is: \"active\", if it says nothing, or \"blocked\".\n"
         "\"tax_rounding\" says how the account at Stripe rounds taxes (Settings, Billing, Invoices):\n"
         "each \"line\", if it says nothing, or the whole \"invoice\".\n",
     .run = catalog_apply_run},
    {.words = {"catalog", "show"},
     .arguments = "",
     .what = "Print the catalog in force, as JSON that `catalog apply` accepts.",
     .detail = "",
     .run = catalog_show_run},
    {.words = {"quota", "show"},
     .arguments = "[TENANT] [--json] [--wide]",
     .what = "Show what a tenant may use, and what it used of it: by its plan, and by its own limits.",
     .detail =
         "Without TENANT: all tenants that have limits of their own. resets_at is when `used`\n"
         "begins anew.\n",
     .run = quota_show_run},
    {.words = {"quota", "set"},
     .arguments = "TENANT METRIC [--limit N | --unlimited] [--cap none|soft|hard] "
                  "[--window period|month|day] [--until T] [--new]",
     .what = "Give a tenant its own limit, in place of its plan's.",
     .detail =
         "--limit N       how much is included, such as 5000\n"
         "--unlimited     there is no limit\n"
         "--cap …         what happens above it: none (nothing), soft (allowed, and reported)\n"
         "                or hard (denied)\n"
         "--window …      what it counts over: the billing period, a month from the billing day,\n"
         "                or a day (UTC)\n"
         "--until T       when the plan's limit holds again, such as 2026-12-31T00:00Z; never:\n"
         "                it has no end\n"
         "--new           the tenant is not known yet\n"
         "What you leave out stays as it was, or as the plan has it. The limit holds at once, also\n"
         "one that is lower, and reaches the quota cache within a second while webhookd runs.\n",
     .run = quota_set_run},
    {.words = {"quota", "unset"},
     .arguments = "TENANT [METRIC]",
     .what = "Remove a tenant's own limit, or all of them; its plan's limits hold again.",
     .detail = "",
     .run = quota_unset_run},
    {.words = {"quota", "refresh"},
     .arguments = "[TENANT]",
     .what = "Work out quotas anew, of one tenant or of all, and write them into the quota cache.",
     .detail =
         "Quotas follow every change by themselves. This is for a cache or a table that somebody\n"
         "changed by hand: webhookd writes all limits, and the aggregator all usage, whatever is\n"
         "there.\n",
     .run = quota_refresh_run},
    {.words = {"alerts", "show"},
     .arguments = "[TENANT] [--json] [--wide]",
     .what = "Show whom a tenant's messages go to, and at which usage it is told.",
     .detail =
         "Without TENANT: all tenants that have settings of their own. All messages go to the\n"
         "Redis stream billing:signals as well.\n",
     .run = alerts_show_run},
    {.words = {"alerts", "set"},
     .arguments = "TENANT [--email ADDRESS] [--url URL] [--thresholds LIST] [--new-secret] [--new] [--json]",
     .what = "Set whom a tenant's messages go to, and at which usage it is told.",
     .detail =
         "--email ADDRESS   where mail goes\n"
         "--url URL         where messages are posted, signed with a secret that is made now and\n"
         "                  shown once\n"
         "--thresholds LIST per cent of a limit, such as 80,100,120, in place of the catalog's\n"
         "--new-secret      sign with another secret from now on\n"
         "--new             the tenant is not known yet\n"
         "What you leave out stays as it was; none takes it away.\n",
     .run = alerts_set_run},
    {.words = {"alerts", "test"},
     .arguments = "TENANT [--json]",
     .what = "Send a test message to a tenant, by all ways that are set.",
     .detail = "",
     .run = alerts_test_run},
    {.words = {"keys", "create"},
     .arguments = "NAME --role viewer|editor|admin [--tenant T] [--expires 90d] [--new] [--json]",
     .what = "Make a key for the API, and show it once.",
     .detail =
         "--role ROLE      viewer reads; editor changes usage, subscriptions and payment methods\n"
         "                 too; admin does all\n"
         "--tenant T       only for this tenant; without it the caller names one each time\n"
         "--expires TIME   when it stops, from now: 90d, 12h, 30m; without it: never\n"
         "--new            the tenant is not known yet\n"
         "The history tells NAME with everything that the key changes. A key is for a service of\n"
         "yours, never for a customer: an editor may also send negative quantities.\n",
     .run = keys_create_run},
    {.words = {"keys", "list"},
     .arguments = "[--all] [--json] [--wide]",
     .what = "List the keys of the API.",
     .detail = "--all   those too that were revoked or have expired\n",
     .run = keys_list_run},
    {.words = {"keys", "revoke"},
     .arguments = "NAME|KEY",
     .what = "Revoke a key of the API; it stops within a second.",
     .detail = "KEY   its id, as keys list shows it\n",
     .run = keys_revoke_run},
    {.words = {"customers", "list"},
     .arguments = "[--contested] [--json] [--wide]",
     .what = "List which customer at Stripe each tenant is billed by.",
     .detail =
         "--contested   only tenants that two customers with a subscription claim; nothing is\n"
         "              sent for them until one subscription ends, or you decide: customers move\n",
     .run = customers_list_run},
    {.words = {"customers", "show"},
     .arguments = "TENANT|CUSTOMER [--json] [--wide]",
     .what = "Show all customers of a tenant, with their subscriptions.",
     .detail = "",
     .run = customers_show_run},
    {.words = {"customers", "move"},
     .arguments = "TENANT CUSTOMER [--yes] [--json]",
     .what = "Decide by which of its customers a tenant is billed from now on.",
     .detail =
         "It holds until that customer is deleted, whatever else is heard. The decision and who\n"
         "made it stand in billing_history. What was sent to another customer stays there. Without\n"
         "--yes nothing is changed.\n",
     .run = customers_move_run},
    {.words = {"subscriptions", "list"},
     .arguments = "[--status S] [--plan P] [--tenant T] [--limit N] [--json] [--wide]",
     .what = "List what tenants have subscribed to, as Stripe last told, the newest first.",
     .detail =
         "--status S    as Stripe has it, such as active, trialing, past_due or canceled\n"
         "--limit N     at most N of them; 50 by default\n",
     .run = subscriptions_list_run},
    {.words = {"subscriptions", "show"},
     .arguments = "SUBSCRIPTION|TENANT [--json] [--wide]",
     .what = "Show a subscription, or all of a tenant, with their items.",
     .detail = "The one that decides the tenant's plan comes first. `get` is another name for `show`,\n"
               "here and elsewhere.\n",
     .run = subscriptions_show_run},
    {.words = {"preview"},
     .arguments = "TENANT [--plan P] [--seats N] [--at now|period_end] [--interval month|year] [--json] [--wide]",
     .what = "Show a tenant's next invoice, line by line, and what Stripe would make of it.",
     .detail =
         "It is computed from what is stored here: fees, seats, usage by tiers, credits and charges\n"
         "of changes within the period, discounts and taxes. With STRIPE_SECRET_KEY, Stripe is\n"
         "asked for its own preview, and what differs is named, with the likely reason. Nothing is\n"
         "changed. What if something changed?\n"
         "--plan P             to another plan\n"
         "--seats N            to so many seats\n"
         "--at …               now or period_end; if you say nothing, what costs less waits for the\n"
         "                     period's end\n"
         "--interval …         paid by the month or year\n",
     .run = preview_run},
    {.group = "See how it is doing",
     .words = {"doctor"},
     .arguments = "[--json]",
     .what = "Check the installation: PostgreSQL, Redis, the stages, Stripe's key and account.",
     .detail =
         "One line for each check: ok, warn (it works, and could be better) or BAD, with what\n"
         "to do about it. Exit 1 if anything is BAD. It only reads. Give it the sink's\n"
         "STRIPE_SECRET_KEY.\n",
     .run = doctor_run},
    {.words = {"status"},
     .arguments = "[--json]",
     .what = "Show each stage, what waits for it and since when, and what is not billed yet.",
     .detail =
         "It takes at most 5 s, whatever hangs, and shows what it could read. Exit 1 if Redis\n"
         "or PostgreSQL is down, or if not everything could be read in time.\n"
         "  instances    the daemons that run, by a heartbeat every 5 s. silent: no heartbeat\n"
         "               for 20 s, so it died or cannot reach PostgreSQL. gone: silent, and\n"
         "               another one was started in its place. missing: no daemon of that\n"
         "               stage runs (one with --once is not shown)\n"
         "  stages       depth: entries in the stream; waiting: not counted yet; lag: the same\n"
         "               as Redis tells it of the group `aggregator`; oldest_s: how long the\n"
         "               oldest of them has waited\n"
         "  messages     what is to be told by signals, mail and POSTs: waiting and failed\n"
         "  rejected     pending: not replayed yet\n"
         "  meters       metrics of which nothing is sent until Stripe's meter is set right\n"
         "  unbilled     usage that is in no submission, with the reason. not_invoiced: it was\n"
         "               sent, its period is over, and no final invoice bills it\n"
         "  customers    tenants of whom a person has to decide: contested by two customers, or\n"
         "               with two subscriptions that stand; the first one is named\n"
         "  quotas       table_age_s: when a tenant's limits were last brought up to date, at\n"
         "               worst. used_age_s and limits_age_s: since aggregator and webhookd\n"
         "               last went over the whole quota cache, which they do every minute.\n"
         "               sample: there are more than `cached` tenants in it\n",
     .run = status_run},
    {.words = {"watch"},
     .arguments = "",
     .what = "Keep showing the status, every 2 s; q ends it.",
     .detail =
         "It fits one screen: the last line says how many lines of which part are left out.\n"
         "Where the output is no terminal it prints one report after the other.\n",
     .run = watch_run},
    {.words = {"audit"},
     .arguments = "[--json]",
     .what = "Prove that every event is accounted for, and that usage is billed or waits.",
     .detail =
         "One line for each stream and epoch: added = counted + duplicates + rejected +\n"
         "conflicts + lost + waiting. Then raw events, rejected entries, minutes, totals and\n"
         "claims are checked against each other. It only reads, and may run at any time. The\n"
         "last line is one of `audit ok` (exit 0), `audit unbalanced` (exit 1), or, if\n"
         "everything adds up but a person has to act, what waits (exit 4):\n"
         "  audit balanced, attention: lost=100 failed=13280\n"
         "  lost       entries that are gone: see `meterctl lost list`, then `lost accept`\n"
         "  failed     units that Stripe refused: `meterctl submissions list --state failed`\n"
         "  in_doubt   units that Stripe may or may not have: reconciliation finds out\n"
         "  late       units that missed their invoice: decide by `meterctl late list`\n"
         "  too_large  values of more than 15 digits, which Stripe does not take\n"
         "  drift      units where Stripe differs from what was sent: `meterctl reconcile`\n"
         "  meter_held  units not sent because Stripe's meter is missing or counts in another\n"
         "              way: `meterctl status` says which one, and why\n"
         "  unmapped   units of a tenant with a subscription that have no place at Stripe: the\n"
         "             customer is gone, or the subscription lacks an item (`meterctl status`)\n"
         "  not_compared  units not sent since a restore, because nobody knows whether they\n"
         "                were sent before it: a sink asks Stripe; if they were, `meterctl\n"
         "                restore accept`\n"
         "  not_invoiced  units sent for a period that ended over three days ago, which no final\n"
         "                invoice bills: see usage_not_invoiced in the database\n"
         "  sink_hold  sinks send nothing: `meterctl restore accept`\n"
         "Usage without a subscription (`unmapped`), and usage from before a subscription\n"
         "began (`before_subscription`), is never billed. Nothing has to be done about it, so\n"
         "it is not listed here; `meterctl status` shows it.\n"
         "Exit 3 if it could not be checked.\n",
     .run = audit_run},
    {.group = "Look into usage",
     .words = {"events"},
     .arguments = "--tenant T [--metric M] [--from T] [--to T] [--format ndjson|csv] "
                  "[--limit N]",
     .what = "Print a tenant's raw events, ordered by time of use.",
     .detail =
         "--from and --to (which is not included) are a time, such as 2026-11-21T10:00Z, or an\n"
         "age, such as 36h or 7d. Without a zone a time is UTC. Quantities are exact decimals,\n"
         "in strings. A retraction is an event of its own: `retraction` is true, its id is\n"
         "that of the event it takes back, its quantity the negative. `dimensions` is a JSON\n"
         "object, in CSV too.\n",
     .run = events_run},
    {.words = {"explain"},
     .arguments = "--tenant T --metric M --period P [--format table|csv|json] [--events] "
                  "[--wide]",
     .what = "Explain a number on an invoice by its submissions, minutes and events.",
     .detail =
         "--period is `current`, or any time in the billing period, such as 2026-11-21. The\n"
         "total is explained at three levels, each of which adds up to it: submissions with\n"
         "what is in none of them; minutes; events. `adds` is what a row contributes to the\n"
         "level above it. Of max, last and unique only the rows that decide contribute\n"
         "anything.\n"
         "A table lists the events only with --events; csv and json always do. Events that\n"
         "were taken back are listed and add nothing. Those that retention has dropped are one\n"
         "sum. Usage that `late carry` moved belongs to the period it was used in (moved_out),\n"
         "and is named where it is billed (moved_in): that invoice is its own submissions and\n"
         "moved_in. The last line is the proof: exit 1 if the difference is not 0.\n",
     .run = explain_run},
    {.words = {"rejected", "list"},
     .arguments = "[--tenant T] [--reason R] [--since T] [--pending] [--summary] [--limit "
                  "N] [--json] [--wide]",
     .what = "List entries that were not counted, newest first, with the reason.",
     .detail =
         "--since T     a time, such as 2026-11-21T10:00Z, or an age, such as 36h or 7d\n"
         "--pending     only those that were not replayed\n"
         "--summary     how many there are by reason and metric\n"
         "--limit N     at most N of them; 50 by default\n"
         "--json has their fields too.\n",
     .run = rejected_list_run},
    {.words = {"rejected", "show"},
     .arguments = "ID [--json]",
     .what = "Show one rejected entry with all its fields.",
     .detail = "",
     .run = rejected_show_run},
    {.words = {"rejected", "replay"},
     .arguments = "ID... | --tenant T, --reason R, --since T | --all [--round N] [--yes] "
                  "[--again] [--dry-run]",
     .what = "Send rejected entries again, for example after a missing metric was added.",
     .detail =
         "It says first how many can be sent. Entries chosen by a filter or by --all are sent\n"
         "only with --yes. A replayed entry counts for the time of the original, and counts\n"
         "once however often it is sent: if it has no `ts` it gets the original's time, and if\n"
         "it has no `id` it gets one made of the stream and the original entry's id.\n"
         "Skipped, with the reason: what was replayed before (unless --again); entries that\n"
         "were cut at 64 KiB; usage of more than 35 days ago; conflicts, since the event with\n"
         "that id is counted already, with other content; and whatever would be refused again,\n"
         "such as a metric that is not in the catalog. A retraction may be rejected again, if\n"
         "its event still is not counted.\n"
         "--round N (0 to 9) rounds quantities with too many decimals, such as\n"
         "0.30000000000000004, or with an exponent, such as 1e-7, to N decimals: by their\n"
         "digits, exactly, half away from zero. Other quantities stay as they are.\n"
         "Exit 1 if an entry that was named by its ID was not sent.\n",
     .run = rejected_replay_run},
    {.words = {"rebuild"},
     .arguments = "--check [--tenant T] [--from T] [--to T] [--json] | --repair [--tenant "
                  "T] [--metric M] [--yes] [--json]",
     .what = "Count minutes and totals again from the raw events, and compare.",
     .detail =
         "--check only reads, in one snapshot, day by day; aggregators may run. It prints the\n"
         "first 100 differences and how many there are, and ends with `rebuild ok` (exit 0) or\n"
         "`rebuild differs` (exit 1); exit 3 if it could not be checked. Batches that are not\n"
         "yet added to the minutes are named. What retention has dropped cannot be checked,\n"
         "and it says so. --from and --to are times of use, such as 2026-11-21T10:00Z, or\n"
         "ages, such as 36h or 7d.\n"
         "\n"
         "--repair corrects the totals of metrics that carry their last value into the next\n"
         "period (seats, storage), and adds those that are missing. Aggregators and sinks may\n"
         "run; the sink claims the difference. Without --yes it only says what it would do\n"
         "(exit 1 if there is something).\n",
     .run = rebuild_run},
    {.group = "Billing at Stripe",
     .words = {"submissions", "list"},
     .arguments = "[--state S] [--tenant T] [--metric M] [--period P] [--since T] [--limit "
                  "N] [--json] [--wide]",
     .what = "List what was submitted to Stripe, or waits to be, newest first.",
     .detail =
         "--period P    `current`, or any time in the billing period, such as 2026-11-21\n"
         "--since T     a time, such as 2026-11-21T10:00Z, or an age, such as 36h or 7d\n"
         "--limit N     at most N of them; 50 by default\n",
     .run = submissions_list_run},
    {.words = {"submissions", "show"},
     .arguments = "IDENTIFIER [--json]",
     .what = "Show one submission: its body, attempts, Stripe's answer, and what happens next.",
     .detail = "",
     .run = submissions_show_run},
    {.words = {"submissions", "retry"},
     .arguments = "IDENTIFIER... | --state failed [--tenant T] --yes [--anyway]",
     .what = "Submit the quantity of failed submissions again.",
     .detail =
         "A submission is never sent twice. It becomes `void`, and the sink claims its\n"
         "quantity anew, under another identifier and in another minute. Only failed ones can\n"
         "be retried: Stripe may hold what is in_doubt, so that reconciliation decides\n"
         "(`meterctl reconcile`). One of which Stripe holds, or may hold, a part is skipped\n"
         "unless you add --anyway. Exit 1 if one that was named was not retried.\n",
     .run = submissions_retry_run},
    {.words = {"late", "list"},
     .arguments = "[--tenant T] [--json] [--wide]",
     .what = "List usage that came too late for its invoice, and what was decided about it.",
     .detail = "",
     .run = late_list_run},
    {.words = {"late", "carry"},
     .arguments = "IDENTIFIER... | --tenant T | --all [--yes]",
     .what = "Bill late usage in the tenant's current period.",
     .detail =
         "--tenant and --all choose what has no decision yet, and need --yes. A submission\n"
         "that you name may have been dropped before. The sink acts at its next claim, and\n"
         "each decision is kept in billing_history. Values (max, last, unique) are skipped: an\n"
         "old one would replace the current one. Exit 1 if one that was named was not decided.\n",
     .run = late_carry_run},
    {.words = {"late", "drop"},
     .arguments = "IDENTIFIER... | --tenant T | --all [--yes]",
     .what = "Never bill late usage; it stays visible as dropped.",
     .detail =
         "--tenant and --all choose what has no decision yet, and need --yes. A submission\n"
         "that you name may have been carried before, if the sink has not acted on that yet.\n",
     .run = late_drop_run},
    {.words = {"webhooks", "list"},
     .arguments = "[--state S] [--type T] [--tenant T] [--customer ID] [--since T] [--before T] "
                  "[--limit N] [--json] [--wide]",
     .what = "List the events that Stripe sent, newest first, and what became of each.",
     .detail =
         "--state S     received, processed, ignored or failed\n"
         "--type T      such as invoice.paid; * stands for anything: 'invoice.*'\n"
         "--customer ID the customer's id at Stripe\n"
         "--since T, --before T\n"
         "              received then: a time, such as 2026-11-21T10:00Z, or an age, such as 36h\n"
         "              or 7d\n"
         "--limit N     at most N of them; 50 by default\n",
     .run = webhooks_list_run},
    {.words = {"webhooks", "show"},
     .arguments = "EVENT [--json]",
     .what = "Show one event: its state, why, what happens next, and its body.",
     .detail = "",
     .run = webhooks_show_run},
    {.words = {"webhooks", "replay"},
     .arguments = "EVENT... | [--state S] [--type T] [--tenant T] [--customer ID] [--since T] "
                  "[--before T] [--yes]",
     .what = "Have events worked again that failed or were ignored.",
     .detail =
         "For example after a tenant was named at Stripe, or a cause in PostgreSQL is gone.\n"
         "Events chosen by a filter are replayed only with --yes; without it, it says how many\n"
         "that would be. Working an event twice changes nothing. Skipped is what was processed\n"
         "or waits, and what has no body any more (WEBHOOK_PAYLOAD_KEEP_DAYS). Exit 1 if one\n"
         "that was named was not replayed.\n",
     .run = webhooks_replay_run},
    {.words = {"messages", "list"},
     .arguments = "[--state S] [--kind K] [--tenant T] [--channel C] [--since T] [--before T] "
                  "[--limit N] [--json] [--wide]",
     .what = "List what was told to others, or is to be: by signals, mail and POSTs.",
     .detail =
         "Newest first, a line for each way that a message goes.\n"
         "--state S     waiting, sent or failed\n"
         "--kind K      such as payment_failed; * stands for anything: 'payment_*'\n"
         "--channel C   signal, mail or post\n"
         "--since T, --before T\n"
         "              when it came up: a time, such as 2026-11-21T10:00Z, or an age, such as 36h\n"
         "              or 7d\n"
         "--limit N     at most N of them; 50 by default\n"
         "--json has what happened, in full.\n",
     .run = messages_list_run},
    {.words = {"messages", "show"},
     .arguments = "MESSAGE [--json]",
     .what = "Show one message: what happened, and what became of each way that it goes.",
     .detail = "",
     .run = messages_show_run},
    {.words = {"messages", "retry"},
     .arguments = "MESSAGE... | [--state S] [--kind K] [--tenant T] [--channel C] [--since T] "
                  "[--before T] [--yes]",
     .what = "Send failed messages again, and waiting ones at once.",
     .detail =
         "For example after a receiver is back. They are tried for three days again\n"
         "(NOTIFIER_GIVE_UP_S). Messages chosen by a filter are sent only with --yes; without\n"
         "it, it says how many that would be. What was sent is not sent again.\n",
     .run = messages_retry_run},
    {.words = {"reconcile"},
     .arguments = "[--tenant T] [--period P] [--json] [--wide]",
     .what = "Compare what Stripe holds with what was sent, by customer, metric and period.",
     .detail =
         "It compares periods that are open or ended up to 35 days ago; --period is `current`,\n"
         "a time in the period, such as 2026-11-21, or an age, such as 7d. It needs\n"
         "STRIPE_SECRET_KEY.\n"
         "  drift   so many units more at Stripe than were sent; negative: fewer\n"
         "  open    units that may be there or not, because they are on their way, in doubt,\n"
         "          or were sent less than 10 minutes ago (Stripe's figures lag); they excuse\n"
         "          a drift\n"
         "Each drift is explained by its minutes and submissions, and kept in usage_drift.\n"
         "What is in doubt is resolved where it is due. The last line is\n"
         "`reconcile compared=… drifted=… unread=…`; exit 0 without drift, 1 with drift, 3 if\n"
         "it could not be checked.\n",
     .run = reconcile_command_run},
    {.words = {"stripe", "setup"},
     .arguments = "FILE [--dry-run] [--check] [--adopt] [--webhook-url URL] [--secret-file FILE] "
                  "[--return-url URL] [--env] [--json]",
     .what = "Make the products, meters and prices of a catalog at Stripe, or set them right.",
     .detail =
         "FILE is a catalog, as for `catalog apply`; - is standard input. It makes what is not\n"
         "there, and changes what may be changed. A price or a tax rate that differs otherwise is\n"
         "replaced: a new one takes over its lookup key, and who has the old one keeps it. It\n"
         "deletes nothing, and touches nothing that it did not make. It may be run again at any\n"
         "time: where nothing differs it only reads.\n"
         "--dry-run          only print what would be done\n"
         "--check            the same, and exit 2 if anything differs\n"
         "--adopt            take over what has the name of ours and was made by somebody else\n"
         "--webhook-url URL  an endpoint with the events that webhookd makes use of, too\n"
         "--secret-file FILE where its signing secret goes, with mode 0600; it is never shown\n"
         "--return-url URL   where the customer portal leads back to\n"
         "--env              the ids as variables on standard output, the rest on standard error\n"
         "A catalog's prices have the lookup keys PLAN, PLAN_year and PLAN_METRIC. Exit 1 if a\n"
         "person has to act; the line says how. It needs a STRIPE_SECRET_KEY that may write all\n"
         "of this; SINK_RECONCILE_RATE_PER_S is how many calls it makes a second.\n",
     .run = stripe_setup_run},
    {.words = {"stripe", "sync"},
     .arguments = "[--json]",
     .what = "Read all customers, subscriptions and recent invoices of the account from Stripe.",
     .detail =
         "To import an account that has customers already, or after a time without webhookd.\n"
         "Objects become what Stripe says they are now, by the same rules as webhooks; what\n"
         "Stripe no longer has is ended. It reads subscriptions of every status, invoices of\n"
         "the last 62 days, and older ones that are open. It may run at any time, beside\n"
         "webhookd too. A run that was interrupted is gone on with by the next one, if that\n"
         "begins within a day. It needs STRIPE_SECRET_KEY; RECONCILE_RATE_PER_S is how many\n"
         "calls it makes a second, each for 100 objects.\n"
         "The last line is `sync customers=… subscriptions=… invoices=… gone=…\n"
         "without_tenant=… without_plan=… odd=… elapsed_ms=…`:\n"
         "  gone            those that the lists did not have, and were asked for one by one\n"
         "  without_tenant  customers that nothing says the tenant of: see metadata.tenant\n"
         "  without_plan    subscriptions whose prices fit no plan of the catalog\n"
         "  odd             objects that could not be understood\n",
     .run = stripe_sync_run},
    {.group = "Revenue",
     .words = {"metrics", "mrr"},
     .arguments = "[--at T | --from T --to T] [--step day|week|month] [--currency C] [--by plan|currency] "
                  "[--json] [--wide]",
     .what = "Show recurring revenue a month at a time, or along a series with what moved it.",
     .detail =
         "What subscriptions that are active or past due earn a month by their licensed items,\n"
         "less coupons that last for ever; no tax, no metered usage, no trial. It is worked out\n"
         "anew from the states that are kept, exactly, and rounded once, half away from zero.\n"
         "--at T         when; now, if nothing is said\n"
         "--from T, --to T, --step S\n"
         "               a series, of days if nothing is said\n"
         "--currency C   the currency of the sums, by `meterctl rates`\n"
         "--by plan      a row for each plan; an upgrade shows as expansion of both, which is\n"
         "               negative for the plan that was left\n"
         "--by currency  a row for each currency, in itself, without exchange rates\n"
         "A customer that did not pay before is new, one that did is a reactivation; one that\n"
         "pays no longer is churn, else it is expansion or contraction. Movements are at the\n"
         "rates of the time before, and what rates changed is fx:\n"
         "  before + new + reactivation + expansion - contraction - churn + fx = after\n"
         "In --json amounts stand in minor units as well, and rounding_minor is what is left of\n"
         "that sum by rounding each of them. unpriced_subscriptions count for nothing, since a\n"
         "price is not known: `meterctl stripe sync`.\n",
     .run = metrics_mrr_run},
    {.words = {"metrics", "arr"},
     .arguments = "[--at T | --from T --to T] [--step day|week|month] [--currency C] [--by plan|currency] "
                  "[--json] [--wide]",
     .what = "Show recurring revenue a year: twelve times that of a month, before rounding.",
     .detail = "",
     .run = metrics_arr_run},
    {.words = {"metrics", "churn"},
     .arguments = "[--from T] [--to T] [--step day|week|month] [--currency C] [--by plan|currency] "
                  "[--json] [--wide]",
     .what = "Show which customers and revenue were lost, by month: of the last full one.",
     .detail =
         "  logo_churn     customers who paid at the beginning and do not at the end, of those\n"
         "                 who paid at the beginning\n"
         "  gross_churn    contraction and churn, of the revenue at the beginning\n"
         "  net_churn      the same less expansion; net_churn_reactivated less reactivation too\n"
         "  net_retention  what is left of the revenue at the beginning, with expansion\n",
     .run = metrics_churn_run},
    {.words = {"rates", "list"},
     .arguments = "[--all] [--json] [--wide]",
     .what = "List the exchange rates that hold now, or all of them.",
     .detail = "",
     .run = rates_list_run},
    {.words = {"rates", "set"},
     .arguments = "CURRENCY IN RATE [--from T]",
     .what = "Set what one of a currency is worth, such as `rates set eur usd 1.0825`.",
     .detail =
         "It holds from T on, from now on if nothing is said, until the next one. Where there is\n"
         "none of two currencies, its reciprocal is taken, or the way over a third one. Revenue\n"
         "of the past is worked out by the rates of then, so a rate that is set for the past\n"
         "changes it. A job may run this daily.\n",
     .run = rates_set_run},
    {.words = {"rates", "unset"},
     .arguments = "CURRENCY IN --from T",
     .what = "Forget the exchange rate that holds from T on; the one before holds on.",
     .detail = "",
     .run = rates_unset_run},
    {.words = {"rollup"},
     .arguments = "[DIR] [--from T] [--currency C] [--steps LIST]",
     .what = "Make the figures that dashboards read: revenue by day and month, activation, ROI.",
     .detail =
         "Everything is made anew from what is kept, so it may run at any time and as often as\n"
         "wanted; hourly is fine. With DIR it also writes arr.csv, mrr.csv, activation.csv and\n"
         "roi.csv there, each in place of the one before once it is whole.\n"
         "--from T       since when: revenue of 400 days and ROI of 62 if nothing is said, from\n"
         "               the beginning of that month\n"
         "--currency C   of revenue: by `meterctl rates`\n"
         "--steps LIST   the steps of activation in their order; preview,analytics,report if\n"
         "               nothing is said. A metric of that name is such a step by its first use;\n"
         "               others are imported: `meterctl activation import`\n"
         "ROI is what usage cost and the hours that it saved, by cost_per_unit and hours_saved of\n"
         "the catalog's metrics. If one of the three cannot be made, the others are, and the exit\n"
         "code is 1.\n",
     .run = rollup_run},
    {.words = {"activation", "import"},
     .arguments = "FILE",
     .what = "Import steps that tenants took in the product, from CSV; - is standard input.",
     .detail =
         "A line is tenant,step,time, such as acme,report,2026-11-21T10:00:00Z; a first line of\n"
         "these names is left out. Of several of one tenant and step the first one counts, so\n"
         "a file may be imported again. If a line cannot be read, nothing is imported.\n",
     .run = activation_import_run},
    {.words = {"export"},
     .arguments = "[--day D | --from D --to D]",
     .what = "Write a day's usage and the rollups to an object store; yesterday's, if nothing is said.",
     .detail =
         "Run it nightly, after `meterctl rollup`. EXPORT_URL, EXPORT_ACCESS_KEY_ID and\n"
         "EXPORT_SECRET_ACCESS_KEY say where to; days are in UTC. Below that address it writes\n"
         "  usage/2026-11-29.csv       the minutes of the day: events and quantities\n"
         "  rollups/2026-11-29/arr.csv, mrr.csv, activation.csv, roi.csv\n"
         "  manifests/2026-11-29.json  rows, bytes, SHA-256 and sums of each of them\n"
         "The manifest is written last: without it the day is not whole. A day may be exported\n"
         "again at any time, under the same names; the content is the same unless something was\n"
         "counted since, such as late events. If a run was killed while it sent a large file, what\n"
         "it had sent stays in the store unseen: let a rule of the bucket abort such uploads.\n",
     .run = export_run},
    {.group = "Upkeep",
     .words = {"retention", "apply"},
     .arguments = "[--dry-run] [--json]",
     .what = "Delete raw events, rejected entries and webhook bodies that are old enough.",
     .detail =
         "Run it daily, for example by cron. RAW_KEEP_DAYS, REJECT_KEEP_DAYS and\n"
         "WEBHOOK_PAYLOAD_KEEP_DAYS say how long each is kept. Raw events go by whole days,\n"
         "counted from their commit. A day stays while it is needed, and the reason is\n"
         "printed:\n"
         "  usage       one of its events was used later than that\n"
         "  not_folded  one of its batches is not yet added to the minutes\n"
         "  submission  a submission is pending, sending, held, failed, in_doubt or late\n"
         "  unclaimed   a total waits to be claimed, or is too large for Stripe (both: of a\n"
         "              tenant with usage on that day, in the same billing period)\n"
         "`locked`: somebody reads the raw events, so the day could not be dropped; `changed`:\n"
         "it is needed by now. What is dropped is added up first, so that `audit` still\n"
         "balances; `rebuild --check` leaves those minutes out. At least 36 days are kept:\n"
         "events may be 35 days old.\n",
     .run = retention_apply_run},
    {.words = {"reshard"},
     .arguments = "N",
     .what = "Spread the tenants over N streams from now on.",
     .detail =
         "Everything may keep running. It waits up to 60 s for the streams to be counted, then\n"
         "changes the number in one transaction. Aggregators follow by themselves, except one\n"
         "whose METERLINE_STREAM_SHARDS is set to another number: it exits with 2, so start it\n"
         "with the new number or without. Services may follow at any time. An entry that lies\n"
         "in another stream than its tenant's is kept as rejected (wrong_shard), and\n"
         "aggregators move it to the right one with its id and time. Old streams go when they\n"
         "are empty.\n",
     .run = reshard_run},
    {.group = "After a fault",
     .words = {"lost", "list"},
     .arguments = "[--json]",
     .what = "List streams that lost entries, and which losses were accepted.",
     .detail =
         "Entries are lost if Redis or PostgreSQL lost data and nobody has them any more.\n",
     .run = lost_list_run},
    {.words = {"lost", "accept"},
     .arguments = "[--yes]",
     .what = "Acknowledge lost entries, so that `audit` no longer asks about them.",
     .detail =
         "They stay in the balance, and later losses have to be accepted again. Who accepted\n"
         "them, and when, is kept. Without --yes it only lists them.\n",
     .run = lost_accept_run},
    {.words = {"stream", "lost"},
     .arguments = "[--yes]",
     .what = "Book entries that somebody removed from a stream before they were counted.",
     .detail =
         "XTRIM, XDEL and XADD with MAXLEN delete entries that wait, and then the audit shows\n"
         "a difference. Without --yes it only shows how many are missing in which stream. With\n"
         "it they are booked as lost and accepted (`lost list` shows them), and the books\n"
         "balance again. Aggregators may run; each stream stops for a moment.\n",
     .run = stream_lost_run},
    {.words = {"stream", "reset"},
     .arguments = "",
     .what = "Repair a stream whose newest id lies in the future.",
     .detail =
         "An entry that was added with an id of its own can do that; then Redis gives no ids\n"
         "of now. Entries that wait stay and are counted once; those with ids in the future\n"
         "get new ones. The stream's epoch ends with its balance, and a new one begins.\n"
         "Aggregators and services may run. A stream that is in order is left alone. Consumer\n"
         "groups other than `aggregator` are dropped. Redis is busy for about 1 s for each\n"
         "200,000 entries that wait, so let aggregators count what they can first.\n",
     .run = stream_reset_run},
    {.words = {"stream", "adopt"},
     .arguments = "[--yes]",
     .what = "Take over streams that another PostgreSQL database counted until now.",
     .detail =
         "Stop the stages of the other database first. Without --yes it only shows the streams\n"
         "that belong to it. With --yes this database goes on counting where the other one\n"
         "stopped, and what was counted before stays in the other database. If this one had\n"
         "counted the stream earlier, what the other one counted since is booked as lost. The\n"
         "other database's entries are deleted from the quota cache, and sinks hold until\n"
         "`meterctl restore accept`.\n",
     .run = stream_adopt_run},
    {.words = {"restore", "hold"},
     .arguments = "[--yes]",
     .what = "Hold all sinks after PostgreSQL and Redis were restored to the same moment.",
     .detail =
         "Sinks notice by themselves that PostgreSQL alone was restored, and hold. They cannot\n"
         "notice it if Redis went back to the same moment, or if a whole machine was set back\n"
         "to a snapshot. Then stop the sinks, restore, run this, start the sinks, and run\n"
         "`meterctl restore accept`. Without --yes it does nothing.\n",
     .run = restore_hold_run},
    {.words = {"restore", "accept"},
     .arguments = "[--yes]",
     .what = "Let sinks go on after PostgreSQL was restored from a backup.",
     .detail =
         "Without --yes it only says what was lost. With it, each tenant's metrics and periods\n"
         "are read at Stripe, SINK_RATE_PER_S calls a second, except those whose invoice was\n"
         "already final in the backup. It needs STRIPE_SECRET_KEY, unless nothing is billed.\n"
         "  - Submissions that the backup shows as unsent, and that Stripe holds, become sent.\n"
         "  - What Stripe holds besides is adopted as submissions `ml-found-…` in the same\n"
         "    minutes.\n"
         "  - Then all is compared again. If nothing differs, sinks go on with this tenant,\n"
         "    while others are still being read.\n"
         "Sinks then bring Stripe to what PostgreSQL counts: usage that was lost is taken\n"
         "back, until services send it again. Progress is shown on stderr. If it was\n"
         "interrupted, run it again: it goes on where it stopped. Exit 1 if something differs,\n"
         "3 if Stripe could not be read; sinks still hold for those tenants.\n"
         "Customers and event names that the database learns of only later (by webhook, or\n"
         "`catalog apply`) are held on their own until they are compared too. A sink does that\n"
         "from an hour after the restore on; to take over what Stripe holds of them, run this\n"
         "again. There are fewer of them if you first apply the catalog and let webhookd catch\n"
         "up.\n"
         "Stripe's figures lag: run this at least an hour after a sink last sent something.\n",
     .run = restore_accept_run},
    {.run = NULL},
};
/* clang-format on */
