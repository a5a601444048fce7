-- Comments: what each table, view, type and column is, so that \d+ and tools explain them. Those of functions stand in
-- deploy/functions.

COMMENT ON TABLE ledger_state IS 'Small numbers that the stages share.';
COMMENT ON COLUMN ledger_state.name IS 'What the number is.';
COMMENT ON COLUMN ledger_state.value IS 'The number.';

COMMENT ON TABLE metrics IS 'What is metered, as the catalog has it.';
COMMENT ON COLUMN metrics.metric IS 'Name of the metric, as events say it.';
COMMENT ON COLUMN metrics.display_name IS 'Name for people.';
COMMENT ON COLUMN metrics.unit IS 'What one of it is, for people.';
COMMENT ON COLUMN metrics.aggregation IS
    'How a period''s usage is made of its events: sum, count, max, last or unique.';
COMMENT ON COLUMN metrics.carry IS 'Whether a new period opens with the last value.';
COMMENT ON COLUMN metrics.dimensions IS 'Fields of events that minutes are split by.';
COMMENT ON COLUMN metrics.from_metric IS 'The metric whose events it counts; NULL: its own.';
COMMENT ON COLUMN metrics.where_dimensions IS 'The fields and values that an event must have to be counted.';
COMMENT ON COLUMN metrics.stripe_event_name IS 'The name of its meter''s events at Stripe.';
COMMENT ON COLUMN metrics.transport IS
    'How usage goes to Stripe: meter_events, meter_event_stream, usage_records or none.';
COMMENT ON COLUMN metrics.rounding IS 'How a quantity is made whole for Stripe.';
COMMENT ON COLUMN metrics.cost_per_unit IS 'What one costs who provides it, in minor units; for figures alone.';
COMMENT ON COLUMN metrics.cost_currency IS 'Currency of cost_per_unit.';
COMMENT ON COLUMN metrics.hours_saved IS 'Hours of work that one saves its user; for figures alone.';
COMMENT ON COLUMN metrics.retired_at IS 'When the catalog dropped it; its events are refused since.';
COMMENT ON COLUMN metrics.created_at IS 'Since when the catalog has it.';
COMMENT ON COLUMN metrics.checksum IS 'metric_checksum of the row when the catalog was applied.';

COMMENT ON TABLE metric_versions IS 'How events of a metric became minutes, by version of the catalog.';
COMMENT ON COLUMN metric_versions.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN metric_versions.from_version IS 'The first catalog version that it holds for.';
COMMENT ON COLUMN metric_versions.until_version IS
    'The first catalog version that it no longer holds for; NULL: it still holds.';
COMMENT ON COLUMN metric_versions.aggregation IS 'As in metrics, then.';
COMMENT ON COLUMN metric_versions.dimensions IS 'As in metrics, then.';
COMMENT ON COLUMN metric_versions.from_metric IS 'As in metrics, then.';
COMMENT ON COLUMN metric_versions.where_dimensions IS 'As in metrics, then.';
COMMENT ON COLUMN metric_versions.checksum IS 'metric_version_checksum of the row.';

COMMENT ON TABLE plans IS 'What tenants can subscribe to.';
COMMENT ON COLUMN plans.plan IS 'Name of the plan.';
COMMENT ON COLUMN plans.display_name IS 'Name for people.';
COMMENT ON COLUMN plans.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN plans.base_amount_minor IS 'Price of a billing period without usage, in minor units.';
COMMENT ON COLUMN plans.billing_interval IS 'How often it is billed: day, week, month or year.';
COMMENT ON COLUMN plans.stripe_lookup_key IS 'The lookup key of its price at Stripe.';
COMMENT ON COLUMN plans.custom IS 'Sold by hand, at prices that are agreed with each customer.';
COMMENT ON COLUMN plans.trial_days IS 'Days of trial of a new subscription; 0: none.';
COMMENT ON COLUMN plans.yearly_amount_minor IS 'Price of a year at once without usage, in minor units; NULL: none.';
COMMENT ON COLUMN plans.seat_amount_minor IS 'Price of each seat in a billing period, in minor units; NULL: seats are free.';
COMMENT ON COLUMN plans.yearly_seat_amount_minor IS 'Price of each seat for a year at once, in minor units; NULL: none.';
COMMENT ON COLUMN plans.retired_at IS 'When the catalog dropped it.';
COMMENT ON COLUMN plans.created_at IS 'Since when the catalog has it.';

COMMENT ON TABLE catalog_tax IS 'The tax that invoices carry, one row or none.';
COMMENT ON COLUMN catalog_tax.only_one IS 'True: there is at most one row.';
COMMENT ON COLUMN catalog_tax.display_name IS 'Name of the tax on invoices.';
COMMENT ON COLUMN catalog_tax.percentage IS 'Per cent.';
COMMENT ON COLUMN catalog_tax.inclusive IS 'Whether amounts contain it.';

COMMENT ON TABLE stripe_setup IS 'What meterctl stripe setup last made or found at Stripe for the catalog.';
COMMENT ON COLUMN stripe_setup.kind IS 'product, meter, price, tax_rate, portal or webhook_endpoint.';
COMMENT ON COLUMN stripe_setup.name IS 'The product''s id, the metric, the price''s lookup key, tax, portal, or the URL.';
COMMENT ON COLUMN stripe_setup.stripe_id IS 'Its id at Stripe.';
COMMENT ON COLUMN stripe_setup.plan IS 'The plan of a price.';
COMMENT ON COLUMN stripe_setup.metric IS 'The metric of a metered price; NULL: it is the plan''s fee.';
COMMENT ON COLUMN stripe_setup.yearly IS 'Whether it is the price of a year.';
COMMENT ON COLUMN stripe_setup.livemode IS 'Whether it is of the live mode.';
COMMENT ON COLUMN stripe_setup.found_at IS 'When it was made, or first found so.';

COMMENT ON TABLE plan_limits IS 'What a plan includes of a metric, and what more costs.';
COMMENT ON COLUMN plan_limits.plan IS 'The plan.';
COMMENT ON COLUMN plan_limits.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN plan_limits.included IS 'Quantity that is included in a window; NULL: unlimited.';
COMMENT ON COLUMN plan_limits.cap IS 'What happens over it: none, soft (allowed and told) or hard (denied).';
COMMENT ON COLUMN plan_limits.limit_window IS
    'What the limit counts over: period (the billing period), month (from the billing day) or day (UTC).';
COMMENT ON COLUMN plan_limits.overage_unit_price IS
    'Minor units for each unit over what is included; NULL: none is sold.';
COMMENT ON COLUMN plan_limits.currency IS 'ISO currency, lower case.';

COMMENT ON TABLE plan_limit_history IS 'Limits of plans as they were until they were changed.';
COMMENT ON COLUMN plan_limit_history.plan IS 'The plan.';
COMMENT ON COLUMN plan_limit_history.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN plan_limit_history.replaced_at IS 'Until when it was so.';
COMMENT ON COLUMN plan_limit_history.included IS 'Quantity that was included; NULL: unlimited.';
COMMENT ON COLUMN plan_limit_history.cap IS 'What happened over it.';

COMMENT ON TABLE tenant_limits IS 'A tenant''s own limits and prices, in place of its plan''s.';
COMMENT ON COLUMN tenant_limits.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN tenant_limits.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN tenant_limits.included IS 'Quantity that is included in a window; NULL: as in the plan.';
COMMENT ON COLUMN tenant_limits.unlimited IS 'Whether there is no limit at all.';
COMMENT ON COLUMN tenant_limits.cap IS 'What happens over the limit: none, soft or hard; NULL: as in the plan.';
COMMENT ON COLUMN tenant_limits.limit_window IS
    'What the limit counts over: period, month or day; NULL: as in the plan.';
COMMENT ON COLUMN tenant_limits.until IS 'From then on the plan''s limit holds again; NULL: it does not end.';
COMMENT ON COLUMN tenant_limits.overage_unit_price IS
    'Minor units for each unit over what is included; NULL: as in the plan.';
COMMENT ON COLUMN tenant_limits.currency IS 'ISO currency, lower case; NULL: as in the plan.';

COMMENT ON TABLE ledger_identity IS
    'Who this ledger is, in one row, so that stages of another ledger leave its streams alone.';
COMMENT ON COLUMN ledger_identity.one IS 'Always true: there is one row.';
COMMENT ON COLUMN ledger_identity.ledger_id IS 'Its id, which its streams and the quota cache in Redis name too.';
COMMENT ON COLUMN ledger_identity.takeovers IS
    'How often it took over streams of another ledger by meterctl stream adopt.';
COMMENT ON COLUMN ledger_identity.life IS
    'ledger_life() when the ledger was last known to be whole; NULL: no sink has run yet.';
COMMENT ON COLUMN ledger_identity.picks IS
    'How often sinks picked submissions to send; Redis knows the greatest number.';
COMMENT ON COLUMN ledger_identity.suspicion IS 'Why sinks were last held: behind or unknown.';
COMMENT ON COLUMN ledger_identity.redis_run IS 'The run id of the Redis that sinks last saw.';
COMMENT ON COLUMN ledger_identity.alive_at IS 'When a sink last found the ledger whole, to a minute or so.';

COMMENT ON TABLE stream_positions IS 'How far each stream is counted, and who counts it.';
COMMENT ON COLUMN stream_positions.stream IS 'The Redis stream.';
COMMENT ON COLUMN stream_positions.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN stream_positions.token IS 'Id of the epoch, which Redis keeps with the entries.';
COMMENT ON COLUMN stream_positions.last_id IS 'Redis entry id: everything up to it is in the ledger.';
COMMENT ON COLUMN stream_positions.owner IS 'The aggregator that holds the lease; NULL: none.';
COMMENT ON COLUMN stream_positions.lease_until IS 'When the lease ends, by this database''s clock.';
COMMENT ON COLUMN stream_positions.base IS 'The stream''s entries-added when the epoch opened.';
COMMENT ON COLUMN stream_positions.counted IS 'Events that were counted.';
COMMENT ON COLUMN stream_positions.duplicates IS 'Entries that repeated an event already counted.';
COMMENT ON COLUMN stream_positions.rejected IS 'Entries that could not be counted: see rejected_events.';
COMMENT ON COLUMN stream_positions.conflicts IS 'Entries whose id was counted with another content.';
COMMENT ON COLUMN stream_positions.lost IS 'Entries that Redis or PostgreSQL lost, as far as was seen.';
COMMENT ON COLUMN stream_positions.added_seen IS 'The stream''s entries-added when it was last looked at.';
COMMENT ON COLUMN stream_positions.batches IS 'Batches committed in all epochs.';
COMMENT ON COLUMN stream_positions.repeats_until IS 'Entries up to this id may be ones that an earlier epoch counted.';
COMMENT ON COLUMN stream_positions.dedupe_window_s IS
    'How far back repeated ids are known, in seconds, as the owner last told.';
COMMENT ON COLUMN stream_positions.reset_token IS
    'Token of the epoch that meterctl stream reset or adopt is about to open.';
COMMENT ON COLUMN stream_positions.seal IS 'Seal of the newest batch: see stream_batches.';
COMMENT ON COLUMN stream_positions.updated_at IS 'When this row was last written.';

COMMENT ON TABLE aggregator_members IS 'The aggregators that run, among whom the streams are shared.';
COMMENT ON COLUMN aggregator_members.owner IS 'The aggregator process.';
COMMENT ON COLUMN aggregator_members.joined_at IS 'When it began.';
COMMENT ON COLUMN aggregator_members.seen_until IS 'Until when it counts as running, by this database''s clock.';

COMMENT ON TABLE stage_instances IS
    'The daemons that run, for people: each renews its row every 5 s and deletes it when it ends in peace.';
COMMENT ON COLUMN stage_instances.instance IS 'Name of the process.';
COMMENT ON COLUMN stage_instances.stage IS 'aggregator, sink, webhookd or another stage.';
COMMENT ON COLUMN stage_instances.version IS 'Version of the program.';
COMMENT ON COLUMN stage_instances.host IS 'The machine that it runs on.';
COMMENT ON COLUMN stage_instances.pid IS 'Its process id there.';
COMMENT ON COLUMN stage_instances.started_at IS 'When it began, by this database''s clock.';
COMMENT ON COLUMN stage_instances.seen_at IS 'When it last renewed the row.';
COMMENT ON COLUMN stage_instances.ready IS 'Whether it can work.';
COMMENT ON COLUMN stage_instances.reason IS 'What is missing while it is not ready, or what holds it while it is.';

COMMENT ON TABLE stream_epochs IS 'Epochs of streams that have ended, with their final balance.';
COMMENT ON COLUMN stream_epochs.stream IS 'The Redis stream.';
COMMENT ON COLUMN stream_epochs.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN stream_epochs.token IS 'Id of the epoch.';
COMMENT ON COLUMN stream_epochs.last_id IS 'Redis entry id up to which it was counted.';
COMMENT ON COLUMN stream_epochs.added IS 'Entries that the epoch had.';
COMMENT ON COLUMN stream_epochs.counted IS 'Events that were counted.';
COMMENT ON COLUMN stream_epochs.duplicates IS 'Entries that repeated an event already counted.';
COMMENT ON COLUMN stream_epochs.rejected IS 'Entries that could not be counted: see rejected_events.';
COMMENT ON COLUMN stream_epochs.conflicts IS 'Entries whose id was counted with another content.';
COMMENT ON COLUMN stream_epochs.lost IS 'Entries that were lost.';
COMMENT ON COLUMN stream_epochs.reason IS 'Why it ended.';
COMMENT ON COLUMN stream_epochs.closed_at IS 'When it ended.';

COMMENT ON TABLE lost_accepted IS 'Lost entries that a person knows of, so that the audit no longer asks for anybody.';
COMMENT ON COLUMN lost_accepted.stream IS 'The Redis stream.';
COMMENT ON COLUMN lost_accepted.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN lost_accepted.lost IS 'How many the epoch had lost when it was accepted.';
COMMENT ON COLUMN lost_accepted.accepted_at IS 'When it was accepted.';
COMMENT ON COLUMN lost_accepted.accepted_by IS 'The login that accepted it.';

COMMENT ON TABLE usage_batches IS 'Raw events in columns: one row is one slice of one batch, in parallel arrays.';
COMMENT ON COLUMN usage_batches.day IS 'UTC day of the commit, by which the table is partitioned.';
COMMENT ON COLUMN usage_batches.stream IS 'The Redis stream.';
COMMENT ON COLUMN usage_batches.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN usage_batches.batch IS 'Number of the batch, rising within a stream.';
COMMENT ON COLUMN usage_batches.slice IS 'Which of 16 slices: tenant_slice of its tenants.';
COMMENT ON COLUMN usage_batches.catalog_version IS
    'Version of the catalog that it was counted by: see metric_versions.';
COMMENT ON COLUMN usage_batches.events IS 'How many events the row holds.';
COMMENT ON COLUMN usage_batches.occurred_min IS 'When the first of them was used.';
COMMENT ON COLUMN usage_batches.occurred_max IS 'When the last of them was used.';
COMMENT ON COLUMN usage_batches.committed_at IS 'When the batch was committed.';
COMMENT ON COLUMN usage_batches.entry_first_ms IS 'Time of the whole batch''s first entry, counted or not, Unix ms.';
COMMENT ON COLUMN usage_batches.entry_last_ms IS 'Time of the whole batch''s last entry, Unix ms, cut to 63 bits.';
COMMENT ON COLUMN usage_batches.entry_ms IS 'First half of each entry id, its 64 bits as a bigint.';
COMMENT ON COLUMN usage_batches.entry_seq IS 'Second half of each entry id, its 64 bits as a bigint.';
COMMENT ON COLUMN usage_batches.tenants IS 'Tenant of each event.';
COMMENT ON COLUMN usage_batches.metrics IS 'Metric of each event.';
COMMENT ON COLUMN usage_batches.ids_uuid IS 'Event ids that are UUIDs in lower case.';
COMMENT ON COLUMN usage_batches.ids_text IS 'All other event ids that were given; both NULL: the entry''s own id.';
COMMENT ON COLUMN usage_batches.quantities IS 'Quantity of each event.';
COMMENT ON COLUMN usage_batches.occurred_ms IS 'When each event was used, Unix ms.';
COMMENT ON COLUMN usage_batches.fields IS 'All other fields of each event, as canonical JSON; NULL: none.';
COMMENT ON COLUMN usage_batches.retracts IS
    'NULL: usage; 1: takes back an event by its given id; 2: by its entry''s id.';
COMMENT ON COLUMN usage_batches.id_minutes IS
    'Minutes since 1970 that the ids say they were made in; NULL: none says so.';

COMMENT ON TABLE usage_repeats IS 'Entries that repeated others, should their stream ever be read again.';
COMMENT ON COLUMN usage_repeats.day IS 'UTC day of the commit.';
COMMENT ON COLUMN usage_repeats.stream IS 'The Redis stream.';
COMMENT ON COLUMN usage_repeats.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN usage_repeats.batch IS 'Number of the batch.';
COMMENT ON COLUMN usage_repeats.entry_last_ms IS 'Time of the batch''s last entry, as in usage_batches.';
COMMENT ON COLUMN usage_repeats.entry_ms IS 'First half of each entry id.';
COMMENT ON COLUMN usage_repeats.entry_seq IS 'Second half of each entry id.';
COMMENT ON COLUMN usage_repeats.contents IS 'Hash of what each entry said.';

COMMENT ON TABLE usage_batches_dropped IS
    'Days of raw events that retention dropped, so that the balance still adds up.';
COMMENT ON COLUMN usage_batches_dropped.stream IS 'The Redis stream.';
COMMENT ON COLUMN usage_batches_dropped.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN usage_batches_dropped.day IS 'UTC day of the commits.';
COMMENT ON COLUMN usage_batches_dropped.events IS 'How many events it held.';
COMMENT ON COLUMN usage_batches_dropped.occurred_max IS 'Minutes up to then can no longer be counted from raw events.';
COMMENT ON COLUMN usage_batches_dropped.dropped_at IS 'When it was dropped.';
COMMENT ON COLUMN usage_batches_dropped.checksum IS 'dropped_day_checksum of the row.';

COMMENT ON TABLE rejected_events IS 'Entries that could not be counted, with the reason.';
COMMENT ON COLUMN rejected_events.rejected_id IS 'Number of the row.';
COMMENT ON COLUMN rejected_events.stream IS 'The Redis stream.';
COMMENT ON COLUMN rejected_events.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN rejected_events.batch IS 'Number of the batch that it was read with.';
COMMENT ON COLUMN rejected_events.stream_id IS 'Its Redis entry id.';
COMMENT ON COLUMN rejected_events.tenant IS 'The tenant, where it could be read.';
COMMENT ON COLUMN rejected_events.reason IS 'Why, in a word such as unknown_metric.';
COMMENT ON COLUMN rejected_events.detail IS 'Which field, and why.';
COMMENT ON COLUMN rejected_events.fields IS 'All its fields, as an array of [name, value].';
COMMENT ON COLUMN rejected_events.content IS 'Hash of all that it said.';
COMMENT ON COLUMN rejected_events.rejected_at IS 'When it was rejected.';
COMMENT ON COLUMN rejected_events.replayed_at IS 'When meterctl rejected replay sent it again.';

COMMENT ON TABLE rejected_events_dropped IS
    'Rejected entries that retention dropped, so that the balance still adds up.';
COMMENT ON COLUMN rejected_events_dropped.stream IS 'The Redis stream.';
COMMENT ON COLUMN rejected_events_dropped.epoch IS
    'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN rejected_events_dropped.conflict IS 'Whether they were conflicts, which the balance counts apart.';
COMMENT ON COLUMN rejected_events_dropped.day IS 'UTC day of rejected_at.';
COMMENT ON COLUMN rejected_events_dropped.events IS 'How many there were.';
COMMENT ON COLUMN rejected_events_dropped.dropped_at IS 'When they were dropped.';

COMMENT ON TABLE stream_batches IS 'What each batch of a stream was, each row sealed with the one before.';
COMMENT ON COLUMN stream_batches.stream IS 'The Redis stream.';
COMMENT ON COLUMN stream_batches.number IS 'Number in its stream, from 1.';
COMMENT ON COLUMN stream_batches.batch IS 'Number of the batch, as in usage_batches.';
COMMENT ON COLUMN stream_batches.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN stream_batches.from_id IS 'It was read from behind this entry.';
COMMENT ON COLUMN stream_batches.last_id IS 'It was read up to this entry.';
COMMENT ON COLUMN stream_batches.counted IS 'Events that were counted.';
COMMENT ON COLUMN stream_batches.duplicates IS 'Entries that repeated an event already counted.';
COMMENT ON COLUMN stream_batches.rejected IS 'Entries that could not be counted: see rejected_events.';
COMMENT ON COLUMN stream_batches.conflicts IS 'Entries whose id was counted with another content.';
COMMENT ON COLUMN stream_batches.base IS 'Base of the stream''s position then.';
COMMENT ON COLUMN stream_batches.lost IS 'Lost entries of the stream''s position then.';
COMMENT ON COLUMN stream_batches.committed_at IS 'When it was committed.';
COMMENT ON COLUMN stream_batches.contents IS 'BLAKE2b of its raw events.';
COMMENT ON COLUMN stream_batches.rejects IS 'SHA-256 over the checksums of what was rejected; NULL: nothing.';
COMMENT ON COLUMN stream_batches.repeats IS 'repeats_checksum of its repeats; NULL: there were none.';
COMMENT ON COLUMN stream_batches.ended IS 'ended_epoch_checksum of the epoch before; NULL: there is none.';
COMMENT ON COLUMN stream_batches.seal IS 'stream_batch_seal: a hash of this row and of the seal before it.';

COMMENT ON TABLE stream_batches_dropped IS 'Where a stream''s chain begins once retention has dropped what was before.';
COMMENT ON COLUMN stream_batches_dropped.stream IS 'The Redis stream.';
COMMENT ON COLUMN stream_batches_dropped.epoch IS
    'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN stream_batches_dropped.number IS 'The newest batch that was dropped.';
COMMENT ON COLUMN stream_batches_dropped.seal IS 'Its seal.';
COMMENT ON COLUMN stream_batches_dropped.counted IS 'Events counted in the batches dropped.';
COMMENT ON COLUMN stream_batches_dropped.duplicates IS 'Duplicates in the batches dropped.';
COMMENT ON COLUMN stream_batches_dropped.rejected IS 'Rejected entries in the batches dropped.';
COMMENT ON COLUMN stream_batches_dropped.conflicts IS 'Conflicts in the batches dropped.';
COMMENT ON COLUMN stream_batches_dropped.checksum IS 'dropped_batches_checksum of the row.';

COMMENT ON TABLE usage_pending IS
    'Minute sums of batches that are not yet in usage_aggregates and usage_totals, in parallel arrays.';
COMMENT ON COLUMN usage_pending.batch IS 'Number of the batch.';
COMMENT ON COLUMN usage_pending.stream IS 'The Redis stream.';
COMMENT ON COLUMN usage_pending.tenants IS 'Tenant of each sum.';
COMMENT ON COLUMN usage_pending.metrics IS 'Metric of each sum.';
COMMENT ON COLUMN usage_pending.dimensions IS 'Dimensions of each sum, as JSON.';
COMMENT ON COLUMN usage_pending.minutes IS 'Minute of each sum.';
COMMENT ON COLUMN usage_pending.events IS 'Events of each sum.';
COMMENT ON COLUMN usage_pending.sums IS 'Sum of the quantities.';
COMMENT ON COLUMN usage_pending.mins IS 'Least quantity.';
COMMENT ON COLUMN usage_pending.maxs IS 'Greatest quantity.';
COMMENT ON COLUMN usage_pending.lasts IS 'Last value with its place: see last_value.';
COMMENT ON COLUMN usage_pending.from_raw IS
    'Whether the batch''s sums are in no row, so that they are counted from the raw events.';

COMMENT ON TABLE usage_aggregates IS 'Usage by tenant, metric, minute and dimensions.';
COMMENT ON COLUMN usage_aggregates.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_aggregates.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_aggregates.dimensions IS 'The dimensions of the metric, with their values.';
COMMENT ON COLUMN usage_aggregates.minute_at IS 'The minute.';
COMMENT ON COLUMN usage_aggregates.events IS 'How many events.';
COMMENT ON COLUMN usage_aggregates.quantity_sum IS 'Sum of their quantities.';
COMMENT ON COLUMN usage_aggregates.quantity_min IS 'Least of them.';
COMMENT ON COLUMN usage_aggregates.quantity_max IS 'Greatest of them.';
COMMENT ON COLUMN usage_aggregates.quantity_last IS 'The last one.';
COMMENT ON COLUMN usage_aggregates.last_ms IS 'When the last one was used, Unix ms.';
COMMENT ON COLUMN usage_aggregates.last_entry IS 'Entry id of the last one, both halves big endian.';

COMMENT ON TABLE usage_totals IS 'Usage by tenant, metric and billing period.';
COMMENT ON COLUMN usage_totals.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_totals.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_totals.period_start IS 'First minute of the period.';
COMMENT ON COLUMN usage_totals.period_end IS 'First minute after the period.';
COMMENT ON COLUMN usage_totals.quantity IS 'The usage, aggregated as the metric says.';
COMMENT ON COLUMN usage_totals.version IS 'Rises with each change, so that the sink knows what to claim.';
COMMENT ON COLUMN usage_totals.last_ms IS 'When the last event was used, Unix ms.';
COMMENT ON COLUMN usage_totals.last_entry IS 'Its entry id, both halves big endian.';
COMMENT ON COLUMN usage_totals.window_start IS
    'First minute of the window that the limit counts over; NULL: it counts over the period.';
COMMENT ON COLUMN usage_totals.window_end IS
    'First minute after the window; -infinity: to be worked out anew; NULL: the limit counts over the period.';
COMMENT ON COLUMN usage_totals.alert_at IS
    'From which quantity on, of the window if there is one, the next threshold may be passed.';
COMMENT ON COLUMN usage_totals.window_quantity IS
    'The usage in that part of the window that lies in this period; NULL: none.';
COMMENT ON COLUMN usage_totals.updated_at IS 'When this row was last written.';

COMMENT ON TABLE usage_uniques IS
    'The different values of dimensions in a period, for metrics with aggregation unique.';
COMMENT ON COLUMN usage_uniques.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_uniques.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_uniques.period_start IS 'First minute of the period.';
COMMENT ON COLUMN usage_uniques.dimensions IS 'The values.';
COMMENT ON COLUMN usage_uniques.events IS 'Events with them, less those retracted.';

COMMENT ON TABLE usage_recounts IS 'Minutes that a retraction took something from and that wait to be counted anew.';
COMMENT ON COLUMN usage_recounts.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_recounts.metric IS 'Metric of the event; those derived from it are counted anew too.';
COMMENT ON COLUMN usage_recounts.minute_at IS 'The minute.';
COMMENT ON COLUMN usage_recounts.stream IS 'The Redis stream.';
COMMENT ON COLUMN usage_recounts.batch IS 'Batch of the retraction.';

COMMENT ON TABLE billing_customers IS 'Which customer at Stripe a tenant is.';
COMMENT ON COLUMN billing_customers.tenant IS 'The tenant.';
COMMENT ON COLUMN billing_customers.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN billing_customers.email IS 'The customer''s address, as Stripe has it.';
COMMENT ON COLUMN billing_customers.deleted_at IS 'When the customer was deleted at Stripe.';
COMMENT ON COLUMN billing_customers.contested_since IS
    'Since when two customers with a subscription have this tenant, so that nothing is sent; NULL: not so.';
COMMENT ON COLUMN billing_customers.updated_at IS 'When this row was last written.';

COMMENT ON TABLE stripe_customers IS 'Every customer at Stripe that an event told of, and whose it is.';
COMMENT ON COLUMN stripe_customers.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN stripe_customers.tenant IS 'Whose it is; NULL: nothing says so yet.';
COMMENT ON COLUMN stripe_customers.claim_rank IS 'What said so: 0 the customer, 1 a subscription, 2 an invoice, 3 a checkout.';
COMMENT ON COLUMN stripe_customers.claimed_at IS 'When that was first said.';
COMMENT ON COLUMN stripe_customers.email IS 'Its address, as Stripe has it.';
COMMENT ON COLUMN stripe_customers.balance_minor IS 'What it owes beyond its invoices, in minor units; less than 0: a credit.';
COMMENT ON COLUMN stripe_customers.created_at IS 'When it was made at Stripe; NULL: not known.';
COMMENT ON COLUMN stripe_customers.seen_at IS 'Of the oldest event that told of it.';
COMMENT ON COLUMN stripe_customers.deleted_at IS 'When it was deleted at Stripe.';
COMMENT ON COLUMN stripe_customers.chosen_at IS 'When a person decided that its tenant is billed by it.';
COMMENT ON COLUMN stripe_customers.updated_at IS 'When this row was last written.';

COMMENT ON TABLE stripe_observations IS 'What each event said of its object; what is known of an object follows from all of them.';
COMMENT ON COLUMN stripe_observations.object_id IS 'The object at Stripe; of a note, its event.';
COMMENT ON COLUMN stripe_observations.created_at IS 'When the event was made, or the object fetched.';
COMMENT ON COLUMN stripe_observations.event_id IS 'The event at Stripe; empty: the object was fetched.';
COMMENT ON COLUMN stripe_observations.kind IS 'What the object is, such as subscription.';
COMMENT ON COLUMN stripe_observations.type IS 'Type of the event.';
COMMENT ON COLUMN stripe_observations.group_id IS 'The payment that the object is part of; else the object itself.';
COMMENT ON COLUMN stripe_observations.customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN stripe_observations.parent_id IS 'The invoice of a payment, or the subscription of an invoice.';
COMMENT ON COLUMN stripe_observations.tenant IS 'The tenant that the object names.';
COMMENT ON COLUMN stripe_observations.is_first IS 'Whether the event made the object.';
COMMENT ON COLUMN stripe_observations.is_final IS 'Whether the object has ended, so that nothing comes after.';
COMMENT ON COLUMN stripe_observations.is_last IS 'Whether it is the last one of its object in that second.';
COMMENT ON COLUMN stripe_observations.rank IS 'How far the object has come, to order what happened in one second.';
COMMENT ON COLUMN stripe_observations.state IS 'Digest of the facts.';
COMMENT ON COLUMN stripe_observations.prior IS 'Digest of the facts before the event; NULL: there were none.';
COMMENT ON COLUMN stripe_observations.shape IS 'Digest of those facts of a subscription that revenue follows from.';
COMMENT ON COLUMN stripe_observations.status IS 'Status of the object.';
COMMENT ON COLUMN stripe_observations.prior_status IS 'Its status before the event.';
COMMENT ON COLUMN stripe_observations.starts_at IS 'When the period of a subscription began.';
COMMENT ON COLUMN stripe_observations.ends_at IS 'When that period ends.';
COMMENT ON COLUMN stripe_observations.prior_starts_at IS 'When the period before the event began.';
COMMENT ON COLUMN stripe_observations.prior_ends_at IS 'When the period before the event was to end.';
COMMENT ON COLUMN stripe_observations.request_id IS 'The API request behind the event.';
COMMENT ON COLUMN stripe_observations.facts IS 'What is read of the object, named as the columns of its table.';
COMMENT ON COLUMN stripe_observations.detail IS 'What changed: before and after.';
COMMENT ON COLUMN stripe_observations.noted_at IS 'When it was noted.';

COMMENT ON TABLE stripe_prices IS 'Prices that subscriptions have or had, and the plans they stand for.';
COMMENT ON COLUMN stripe_prices.stripe_price_id IS 'The price at Stripe.';
COMMENT ON COLUMN stripe_prices.plan IS 'The plan that it stands for, also after it lost its lookup key.';
COMMENT ON COLUMN stripe_prices.plan_rank IS 'What says so: 0 lookup key, 1 metadata of the price, 2 of its product, 3 the product''s id.';
COMMENT ON COLUMN stripe_prices.plan_at IS 'When that was first said.';
COMMENT ON COLUMN stripe_prices.metric IS 'The metric that it bills; NULL: none, such as a base fee.';
COMMENT ON COLUMN stripe_prices.metric_rank IS 'What says so: 0 metadata, 1 lookup key.';
COMMENT ON COLUMN stripe_prices.metric_at IS 'When that was first said.';
COMMENT ON COLUMN stripe_prices.stripe_product_id IS 'Its product at Stripe.';
COMMENT ON COLUMN stripe_prices.lookup_key IS 'The lookup key by which it was first known.';
COMMENT ON COLUMN stripe_prices.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN stripe_prices.unit_amount IS 'Price of one, in minor units; NULL: it has tiers.';
COMMENT ON COLUMN stripe_prices.billing_scheme IS 'per_unit or tiered.';
COMMENT ON COLUMN stripe_prices.tiers_mode IS 'graduated or volume.';
COMMENT ON COLUMN stripe_prices.tiers IS 'Its tiers, as Stripe has them.';
COMMENT ON COLUMN stripe_prices.divide_by IS 'Quantities are divided by this first; NULL: they are not.';
COMMENT ON COLUMN stripe_prices.divide_round IS 'How that is rounded: up or down.';
COMMENT ON COLUMN stripe_prices.billing_interval IS 'Unit of its periods: day, week, month or year.';
COMMENT ON COLUMN stripe_prices.interval_count IS 'How many such units a period has.';
COMMENT ON COLUMN stripe_prices.usage_type IS 'licensed or metered.';
COMMENT ON COLUMN stripe_prices.meter IS 'The meter that it bills.';
COMMENT ON COLUMN stripe_prices.updated_at IS 'When this row was last written.';

COMMENT ON TABLE stripe_discounts IS 'What discounts take off.';
COMMENT ON COLUMN stripe_discounts.stripe_discount_id IS 'The discount at Stripe.';
COMMENT ON COLUMN stripe_discounts.stripe_coupon_id IS 'The coupon that it is made of.';
COMMENT ON COLUMN stripe_discounts.duration IS 'forever, once or repeating.';
COMMENT ON COLUMN stripe_discounts.percent_off IS 'Per cent; NULL: an amount.';
COMMENT ON COLUMN stripe_discounts.amount_off IS 'In minor units; NULL: a share.';
COMMENT ON COLUMN stripe_discounts.currency IS 'Of the amount; ISO, lower case.';
COMMENT ON COLUMN stripe_discounts.starts_at IS 'Since when it counts.';
COMMENT ON COLUMN stripe_discounts.ends_at IS 'When a repeating one ends; NULL: never, or not known.';

COMMENT ON TYPE fraction IS 'An exact amount that may be no decimal number.';
COMMENT ON COLUMN fraction.numerator IS 'What is divided.';
COMMENT ON COLUMN fraction.denominator IS 'By what; a whole number above 0.';

COMMENT ON TABLE customer_mrr IS 'What each customer earns us a month, as last told.';
COMMENT ON COLUMN customer_mrr.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN customer_mrr.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN customer_mrr.tenant IS 'The tenant that it belongs to.';
COMMENT ON COLUMN customer_mrr.mrr IS 'In minor units, exactly.';
COMMENT ON COLUMN customer_mrr.is_known IS 'false: a price is not known, and this is the last known sum.';
COMMENT ON COLUMN customer_mrr.paid_since IS 'When it was first more than nothing.';
COMMENT ON COLUMN customer_mrr.changes IS 'How often it changed.';
COMMENT ON COLUMN customer_mrr.updated_at IS 'When the row last changed.';

COMMENT ON TABLE milestones IS 'Sums that were reached for the first time.';
COMMENT ON COLUMN milestones.what IS 'mrr or customers.';
COMMENT ON COLUMN milestones.currency IS 'ISO currency, lower case; empty: of customers.';
COMMENT ON COLUMN milestones.value IS 'The sum: 1, 10, 100 and so on.';
COMMENT ON COLUMN milestones.reached_at IS 'When it was noticed.';

COMMENT ON TABLE subscription_states IS 'What a subscription was, each row until the next one of it.';
COMMENT ON COLUMN subscription_states.stripe_subscription_id IS 'The subscription at Stripe.';
COMMENT ON COLUMN subscription_states.valid_from IS 'Since when.';
COMMENT ON COLUMN subscription_states.tenant IS 'The tenant that has it.';
COMMENT ON COLUMN subscription_states.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN subscription_states.plan IS 'Its plan; NULL: none of ours.';
COMMENT ON COLUMN subscription_states.status IS 'Its status at Stripe.';
COMMENT ON COLUMN subscription_states.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN subscription_states.items IS 'What it billed: id, price, quantity and discounts of each item.';
COMMENT ON COLUMN subscription_states.discounts IS 'Its discounts.';
COMMENT ON COLUMN subscription_states.cancel_at IS 'When it was to end.';
COMMENT ON COLUMN subscription_states.cancel_reason IS 'Why it ended.';
COMMENT ON COLUMN subscription_states.collection_paused IS 'What became of its invoices while collection was paused.';
COMMENT ON COLUMN subscription_states.shape IS 'Digest of all this.';

COMMENT ON TABLE checkout_sessions IS 'Checkouts of tenants, as Stripe tells of them.';
COMMENT ON COLUMN checkout_sessions.stripe_session_id IS 'The session at Stripe.';
COMMENT ON COLUMN checkout_sessions.tenant IS 'The tenant.';
COMMENT ON COLUMN checkout_sessions.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN checkout_sessions.stripe_subscription_id IS 'The subscription that it made.';
COMMENT ON COLUMN checkout_sessions.stripe_invoice_id IS 'The invoice that it made.';
COMMENT ON COLUMN checkout_sessions.status IS 'open, complete or expired.';
COMMENT ON COLUMN checkout_sessions.payment_status IS 'paid, unpaid or no_payment_required.';
COMMENT ON COLUMN checkout_sessions.mode IS 'subscription, payment or setup.';
COMMENT ON COLUMN checkout_sessions.client_reference_id IS 'What we called it, such as the tenant.';
COMMENT ON COLUMN checkout_sessions.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN checkout_sessions.amount_total_minor IS 'What it comes to, in minor units.';
COMMENT ON COLUMN checkout_sessions.created_at IS 'When it was made at Stripe.';
COMMENT ON COLUMN checkout_sessions.expires_at IS 'When it expires.';
COMMENT ON COLUMN checkout_sessions.updated_at IS 'When this row was last written.';

COMMENT ON TABLE subscriptions IS 'Subscriptions of tenants, as Stripe tells of them.';
COMMENT ON COLUMN subscriptions.stripe_subscription_id IS 'The subscription at Stripe.';
COMMENT ON COLUMN subscriptions.tenant IS 'The tenant that has it.';
COMMENT ON COLUMN subscriptions.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN subscriptions.plan IS 'The plan that its prices belong to; NULL: none of ours.';
COMMENT ON COLUMN subscriptions.status IS 'Its status at Stripe.';
COMMENT ON COLUMN subscriptions.current_period_start IS 'When its current period began.';
COMMENT ON COLUMN subscriptions.current_period_end IS 'When its current period ends.';
COMMENT ON COLUMN subscriptions.billing_cycle_anchor IS 'What its periods are counted from.';
COMMENT ON COLUMN subscriptions.billing_interval IS 'Unit of its periods: day, week, month or year.';
COMMENT ON COLUMN subscriptions.interval_count IS 'How many such units a period has.';
COMMENT ON COLUMN subscriptions.started_at IS 'When it began.';
COMMENT ON COLUMN subscriptions.ended_at IS 'When it ended.';
COMMENT ON COLUMN subscriptions.cancel_at_period_end IS 'Whether it ends with the current period.';
COMMENT ON COLUMN subscriptions.cancel_at IS 'When it will end, whichever way that was asked for.';
COMMENT ON COLUMN subscriptions.canceled_at IS 'When it was asked to end.';
COMMENT ON COLUMN subscriptions.cancel_reason IS 'Why it ended, such as payment_failed.';
COMMENT ON COLUMN subscriptions.trial_start IS 'When its trial began.';
COMMENT ON COLUMN subscriptions.trial_end IS 'When its trial ends.';
COMMENT ON COLUMN subscriptions.collection_paused IS 'What becomes of its invoices while collection is paused; NULL: it is not.';
COMMENT ON COLUMN subscriptions.collection_resumes_at IS 'When collection goes on.';
COMMENT ON COLUMN subscriptions.collection_method IS 'charge_automatically or send_invoice.';
COMMENT ON COLUMN subscriptions.billing_mode IS 'classic or flexible.';
COMMENT ON COLUMN subscriptions.schedule IS 'The schedule at Stripe that changes it.';
COMMENT ON COLUMN subscriptions.discounts IS 'Its discounts, as far as Stripe told of them.';
COMMENT ON COLUMN subscriptions.tax_rates IS 'Taxes of its invoices: id, percentage, inclusive.';
COMMENT ON COLUMN subscriptions.automatic_tax IS 'Stripe works out its taxes, by rules that only Stripe knows.';
COMMENT ON COLUMN subscriptions.latest_invoice IS 'Its newest invoice at Stripe.';
COMMENT ON COLUMN subscriptions.plan_quantity IS 'How often its plan was bought; limits count that often.';
COMMENT ON COLUMN subscriptions.past_due_since IS 'Since when a payment of it has failed.';
COMMENT ON COLUMN subscriptions.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN subscriptions.event_created IS 'When Stripe made the newest event that was applied here.';
COMMENT ON COLUMN subscriptions.updated_at IS 'When this row was last written.';

COMMENT ON TABLE subscription_items IS 'What a subscription bills.';
COMMENT ON COLUMN subscription_items.stripe_subscription_item_id IS 'The item at Stripe.';
COMMENT ON COLUMN subscription_items.stripe_subscription_id IS 'The subscription at Stripe.';
COMMENT ON COLUMN subscription_items.tenant IS 'The tenant that has it.';
COMMENT ON COLUMN subscription_items.metric IS 'The metric that it bills; NULL: none, such as a base fee.';
COMMENT ON COLUMN subscription_items.stripe_price_id IS 'Its price at Stripe.';
COMMENT ON COLUMN subscription_items.quantity IS 'How many were bought, where it is not metered.';
COMMENT ON COLUMN subscription_items.current_period_start IS 'When its own period began.';
COMMENT ON COLUMN subscription_items.current_period_end IS 'When its own period ends.';
COMMENT ON COLUMN subscription_items.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN subscription_items.unit_amount IS 'Price of one, in minor units; NULL: it has tiers.';
COMMENT ON COLUMN subscription_items.tiers IS 'Tiers of its price, as Stripe has them.';
COMMENT ON COLUMN subscription_items.billing_interval IS 'Unit of its periods: day, week, month or year.';
COMMENT ON COLUMN subscription_items.interval_count IS 'How many such units a period has.';
COMMENT ON COLUMN subscription_items.usage_type IS 'licensed or metered.';
COMMENT ON COLUMN subscription_items.discounts IS 'Discounts of its own, as far as Stripe told of them.';
COMMENT ON COLUMN subscription_items.tax_rates IS 'Taxes in place of the subscription''s: id, percentage, inclusive.';

COMMENT ON TABLE invoice_items IS 'What a later invoice will have, such as prorations.';
COMMENT ON COLUMN invoice_items.stripe_invoice_item_id IS 'The invoice item at Stripe.';
COMMENT ON COLUMN invoice_items.tenant IS 'The tenant.';
COMMENT ON COLUMN invoice_items.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN invoice_items.stripe_subscription_id IS 'On whose next invoice it is; NULL: of whichever.';
COMMENT ON COLUMN invoice_items.stripe_subscription_item_id IS 'The item of the subscription that it is about.';
COMMENT ON COLUMN invoice_items.stripe_invoice_id IS 'The invoice that took it; NULL: none, as far as Stripe told.';
COMMENT ON COLUMN invoice_items.stripe_price_id IS 'Its price at Stripe.';
COMMENT ON COLUMN invoice_items.description IS 'What it is for, as the invoice says it.';
COMMENT ON COLUMN invoice_items.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN invoice_items.amount_minor IS 'What it comes to, in minor units; less than 0: a credit.';
COMMENT ON COLUMN invoice_items.quantity IS 'How many.';
COMMENT ON COLUMN invoice_items.is_proration IS 'It is for a part of a period.';
COMMENT ON COLUMN invoice_items.is_discountable IS 'Discounts of the invoice are taken off it.';
COMMENT ON COLUMN invoice_items.tax_rates IS 'Taxes in place of the subscription''s: id, percentage, inclusive.';
COMMENT ON COLUMN invoice_items.period_start IS 'From when it is.';
COMMENT ON COLUMN invoice_items.period_end IS 'Until when it is.';
COMMENT ON COLUMN invoice_items.item_at IS 'When it was made, by Stripe.';
COMMENT ON COLUMN invoice_items.deleted_at IS 'When it was deleted at Stripe.';
COMMENT ON COLUMN invoice_items.updated_at IS 'When this row was last written.';

COMMENT ON TABLE stripe_schedules IS 'What subscriptions will be, such as a lower plan from their next period on.';
COMMENT ON COLUMN stripe_schedules.stripe_schedule_id IS 'The schedule at Stripe.';
COMMENT ON COLUMN stripe_schedules.tenant IS 'The tenant.';
COMMENT ON COLUMN stripe_schedules.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN stripe_schedules.stripe_subscription_id IS 'The subscription that it changes.';
COMMENT ON COLUMN stripe_schedules.status IS 'not_started, active, completed, released or canceled.';
COMMENT ON COLUMN stripe_schedules.phases IS 'Its phases: start and end in Unix seconds, and the items from then on.';
COMMENT ON COLUMN stripe_schedules.updated_at IS 'When this row was last written.';

COMMENT ON TABLE billing_periods IS 'Billing periods that Stripe told of, their edges cut to minutes.';
COMMENT ON COLUMN billing_periods.tenant IS 'The tenant.';
COMMENT ON COLUMN billing_periods.period_start IS 'First minute of the period.';
COMMENT ON COLUMN billing_periods.period_end IS 'First minute after the period.';
COMMENT ON COLUMN billing_periods.stripe_subscription_id IS 'The subscription at Stripe.';

COMMENT ON TABLE billing_period_changes IS
    'When a tenant''s periods last changed, so that aggregators forget just what changed.';
COMMENT ON COLUMN billing_period_changes.tenant IS 'The tenant.';
COMMENT ON COLUMN billing_period_changes.version IS 'The newest periods_version that touched it.';

COMMENT ON TABLE webhook_events IS 'Events that Stripe sent, and what became of them.';
COMMENT ON COLUMN webhook_events.event_id IS 'The event at Stripe.';
COMMENT ON COLUMN webhook_events.type IS 'Its type, such as invoice.finalized.';
COMMENT ON COLUMN webhook_events.state IS 'received, processed, ignored or failed.';
COMMENT ON COLUMN webhook_events.object_id IS 'The object at Stripe that it is about.';
COMMENT ON COLUMN webhook_events.customer_id IS 'Whose it is, where the event says it.';
COMMENT ON COLUMN webhook_events.priority IS '0, 1: its customer waits for it, so that it is worked before others.';
COMMENT ON COLUMN webhook_events.created_at IS 'When Stripe made it.';
COMMENT ON COLUMN webhook_events.attempts IS 'How often it was tried.';
COMMENT ON COLUMN webhook_events.next_attempt_at IS 'When it is tried next.';
COMMENT ON COLUMN webhook_events.payload IS 'As it came; NULL once its retention has passed.';
COMMENT ON COLUMN webhook_events.error IS 'Why it was ignored or has failed.';
COMMENT ON COLUMN webhook_events.received_at IS 'When it came.';
COMMENT ON COLUMN webhook_events.processed_at IS 'When it was done with.';

COMMENT ON TABLE invoices IS 'Invoices of tenants, as Stripe tells of them.';
COMMENT ON COLUMN invoices.stripe_invoice_id IS 'The invoice at Stripe.';
COMMENT ON COLUMN invoices.tenant IS 'The tenant.';
COMMENT ON COLUMN invoices.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN invoices.stripe_subscription_id IS 'The subscription at Stripe.';
COMMENT ON COLUMN invoices.status IS 'Its status at Stripe.';
COMMENT ON COLUMN invoices.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN invoices.amount_due_minor IS 'What is to be paid, in minor units.';
COMMENT ON COLUMN invoices.amount_paid_minor IS 'What was paid, in minor units.';
COMMENT ON COLUMN invoices.amount_remaining_minor IS 'What is still to be paid, in minor units.';
COMMENT ON COLUMN invoices.subtotal_minor IS 'Sum before discounts and tax, in minor units.';
COMMENT ON COLUMN invoices.total_minor IS 'Sum with discounts and tax, in minor units.';
COMMENT ON COLUMN invoices.tax_minor IS 'Tax in minor units.';
COMMENT ON COLUMN invoices.number IS 'Its number; NULL while it is a draft.';
COMMENT ON COLUMN invoices.billing_reason IS 'Why it was made, such as subscription_cycle.';
COMMENT ON COLUMN invoices.collection_method IS 'charge_automatically or send_invoice.';
COMMENT ON COLUMN invoices.attempt_count IS 'How often its payment was tried.';
COMMENT ON COLUMN invoices.next_payment_attempt IS 'When its payment is tried next; NULL: not again.';
COMMENT ON COLUMN invoices.due_at IS 'When it is due.';
COMMENT ON COLUMN invoices.created_at IS 'When it was made at Stripe.';
COMMENT ON COLUMN invoices.period_start IS 'When the period that it bills began.';
COMMENT ON COLUMN invoices.period_end IS 'When the period that it bills ended.';
COMMENT ON COLUMN invoices.finalized_at IS 'When it became final.';
COMMENT ON COLUMN invoices.paid_at IS 'When it was paid.';
COMMENT ON COLUMN invoices.finalization_error IS 'Why it could not be made final.';
COMMENT ON COLUMN invoices.event_created IS 'When Stripe made the newest event that was applied here.';
COMMENT ON COLUMN invoices.updated_at IS 'When this row was last written.';

COMMENT ON TABLE payments IS 'Payments of tenants, as Stripe tells of them.';
COMMENT ON COLUMN payments.stripe_payment_id IS 'Its payment intent at Stripe, else its charge.';
COMMENT ON COLUMN payments.tenant IS 'The tenant.';
COMMENT ON COLUMN payments.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN payments.stripe_invoice_id IS 'The invoice that it pays.';
COMMENT ON COLUMN payments.status IS 'succeeded, failed, pending or canceled.';
COMMENT ON COLUMN payments.currency IS 'ISO currency, lower case.';
COMMENT ON COLUMN payments.amount_minor IS 'Amount in minor units.';
COMMENT ON COLUMN payments.refunded_minor IS 'What was paid back of it, in minor units.';
COMMENT ON COLUMN payments.failure_code IS 'Why it failed.';
COMMENT ON COLUMN payments.paid_at IS 'When it was paid.';
COMMENT ON COLUMN payments.updated_at IS 'When this row was last written.';

COMMENT ON TABLE billing_history IS 'What changed in a tenant''s billing and by which event; rows are only added.';
COMMENT ON COLUMN billing_history.history_id IS 'Number of the row.';
COMMENT ON COLUMN billing_history.tenant IS 'The tenant.';
COMMENT ON COLUMN billing_history.kind IS 'What happened, such as subscription_updated.';
COMMENT ON COLUMN billing_history.object_id IS 'The object at Stripe that it happened to.';
COMMENT ON COLUMN billing_history.event_id IS 'The event that told of it.';
COMMENT ON COLUMN billing_history.actor IS 'Name of the API key that did it; NULL: Stripe told, or meterctl did it.';
COMMENT ON COLUMN billing_history.detail IS 'What changed: before and after.';
COMMENT ON COLUMN billing_history.occurred_at IS 'When it happened at Stripe.';
COMMENT ON COLUMN billing_history.recorded_at IS 'When it was noted.';

COMMENT ON TABLE usage_submissions IS 'What was claimed for Stripe, sent and settled.';
COMMENT ON COLUMN usage_submissions.identifier IS 'Its identifier at Stripe, which is its idempotency key too.';
COMMENT ON COLUMN usage_submissions.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_submissions.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_submissions.transport IS 'How it goes to Stripe.';
COMMENT ON COLUMN usage_submissions.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN usage_submissions.event_name IS
    'The name of the meter''s events at Stripe; of usage records the subscription item.';
COMMENT ON COLUMN usage_submissions.period_start IS 'First minute of the period that it was claimed in.';
COMMENT ON COLUMN usage_submissions.claim IS 'Number of the claim of this tenant, metric and period, from 1.';
COMMENT ON COLUMN usage_submissions.usage_at IS 'The minute that it is reported for.';
COMMENT ON COLUMN usage_submissions.quantity IS 'What is reported; negative where usage is taken back.';
COMMENT ON COLUMN usage_submissions.body IS 'The exact bytes of every try.';
COMMENT ON COLUMN usage_submissions.state IS 'pending, sending, sent, held, failed, in_doubt, void or late.';
COMMENT ON COLUMN usage_submissions.attempts IS 'How often it was tried.';
COMMENT ON COLUMN usage_submissions.next_attempt_at IS 'When it is tried next.';
COMMENT ON COLUMN usage_submissions.last_error IS 'What the last try ended with.';
COMMENT ON COLUMN usage_submissions.request_id IS 'Stripe''s id of the last answer.';
COMMENT ON COLUMN usage_submissions.owner IS 'The sink that is sending it.';
COMMENT ON COLUMN usage_submissions.lease_until IS 'Until when that sink has it to itself.';
COMMENT ON COLUMN usage_submissions.created_at IS 'When it was claimed.';
COMMENT ON COLUMN usage_submissions.first_sent_at IS 'When it was first tried.';
COMMENT ON COLUMN usage_submissions.last_sent_at IS 'When it was last tried.';
COMMENT ON COLUMN usage_submissions.sent_at IS 'When Stripe took it.';
COMMENT ON COLUMN usage_submissions.stripe_subscription_item_id IS
    'The subscription item that it adds to, for usage records.';
COMMENT ON COLUMN usage_submissions.carried IS 'Whether a person had it carried over to a later period.';
COMMENT ON COLUMN usage_submissions.decision IS 'What a person made of a late one: carry or drop.';
COMMENT ON COLUMN usage_submissions.decided_at IS 'When that was decided.';
COMMENT ON COLUMN usage_submissions.doubt_quantity IS
    'What Stripe held of its minute at the first reading, while it is in doubt.';
COMMENT ON COLUMN usage_submissions.doubt_read_at IS 'When that was first read.';
COMMENT ON COLUMN usage_submissions.known_before IS
    'Whether Stripe knew it before our first try, from a life of this database that was lost.';
COMMENT ON COLUMN usage_submissions.refused_later IS
    'Why Stripe refused it after taking it, told while a call of it was in flight.';
COMMENT ON COLUMN usage_submissions.spent_keys IS
    'How many of its idempotency keys are spent on refusals that may pass.';

COMMENT ON TABLE meter_holds IS
    'Meters by which nothing is sent, since they are missing at Stripe, archived or count otherwise.';
COMMENT ON COLUMN meter_holds.event_name IS 'The name of the meter''s events at Stripe.';
COMMENT ON COLUMN meter_holds.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN meter_holds.why IS 'What is wrong with the meter.';
COMMENT ON COLUMN meter_holds.since IS 'Since when.';

COMMENT ON TABLE restore_checks IS 'Tenants that meterctl restore accept compares with Stripe while sinks are held.';
COMMENT ON COLUMN restore_checks.tenant IS 'The tenant.';
COMMENT ON COLUMN restore_checks.hold IS 'The sink_hold that it is made for.';
COMMENT ON COLUMN restore_checks.owner IS 'The newest run of restore accept.';
COMMENT ON COLUMN restore_checks.checked_at IS 'When it was compared, so that sinks go on with it; NULL: not yet.';

COMMENT ON TABLE ledger_restores IS
    'When PostgreSQL was found to have lost commits, or may have: a row each, until a later one holds all that it does.';
COMMENT ON COLUMN ledger_restores.restored_at IS 'When it was found.';
COMMENT ON COLUMN ledger_restores.held_from IS 'Since when usage that was not compared with Stripe is not claimed.';
COMMENT ON COLUMN ledger_restores.final_before IS
    'Invoices that were final by then were so in the backup; NULL: not known.';

COMMENT ON TABLE restore_proofs IS 'What was compared with Stripe since a restore, and agreed.';
COMMENT ON COLUMN restore_proofs.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN restore_proofs.place IS 'The event name; of usage records the subscription item.';
COMMENT ON COLUMN restore_proofs.from_at IS 'From this time …';
COMMENT ON COLUMN restore_proofs.until_at IS '… until before this one.';
COMMENT ON COLUMN restore_proofs.proven_for IS 'The newest restore since which it was.';
COMMENT ON COLUMN restore_proofs.proven_at IS 'When it was compared.';

COMMENT ON TABLE usage_claims IS 'How much of each total its submissions hold.';
COMMENT ON COLUMN usage_claims.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_claims.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_claims.period_start IS 'First minute of the period.';
COMMENT ON COLUMN usage_claims.version IS 'Version of the total when it was last claimed.';
COMMENT ON COLUMN usage_claims.claimed IS 'What its submissions hold, void ones left out.';
COMMENT ON COLUMN usage_claims.claims IS 'Number of the last claim.';
COMMENT ON COLUMN usage_claims.first_at IS 'Least usage_at that was used, by void ones too.';
COMMENT ON COLUMN usage_claims.last_at IS 'Greatest usage_at that was used, by void ones too.';
COMMENT ON COLUMN usage_claims.periods_version IS 'billing_period_changes.version when it was last summed up.';

COMMENT ON TABLE sink_requests IS 'What other stages ask of the sink.';
COMMENT ON COLUMN sink_requests.tenant IS 'The tenant.';
COMMENT ON COLUMN sink_requests.kind IS 'settle (claim at once) or reconcile (compare with Stripe).';
COMMENT ON COLUMN sink_requests.requested_at IS 'From when on it may be done.';
COMMENT ON COLUMN sink_requests.taken_at IS 'When a sink began to do it.';
COMMENT ON COLUMN sink_requests.since IS 'When it was first asked.';

COMMENT ON VIEW restore_unproven IS
    'Usage that sinks do not claim, since nobody knows whether it was sent before a restore.';
COMMENT ON COLUMN restore_unproven.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN restore_unproven.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN restore_unproven.period_start IS 'First minute of the period.';
COMMENT ON COLUMN restore_unproven.period_end IS 'First minute after the period.';
COMMENT ON COLUMN restore_unproven.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN restore_unproven.units IS 'Whole units that wait.';
COMMENT ON COLUMN restore_unproven.is_held IS 'Whether it is held already; false: it will be.';

COMMENT ON VIEW doubled_subscriptions IS 'Tenants with several subscriptions that stand.';
COMMENT ON COLUMN doubled_subscriptions.tenant IS 'The customer of ours.';
COMMENT ON COLUMN doubled_subscriptions.subscriptions IS 'The subscriptions at Stripe.';
COMMENT ON COLUMN doubled_subscriptions.customers IS 'The customers at Stripe that have them.';
COMMENT ON COLUMN doubled_subscriptions.since IS 'When the second one started.';

COMMENT ON VIEW usage_not_invoiced IS 'Usage that was sent for a period that is over, and that no final invoice bills.';
COMMENT ON COLUMN usage_not_invoiced.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_not_invoiced.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_not_invoiced.period_start IS 'First minute of the period.';
COMMENT ON COLUMN usage_not_invoiced.period_end IS 'First minute after the period.';
COMMENT ON COLUMN usage_not_invoiced.stripe_subscription_id IS 'The subscription that has the period.';
COMMENT ON COLUMN usage_not_invoiced.quantity IS 'How much was sent.';
COMMENT ON COLUMN usage_not_invoiced.amount_minor IS 'What it costs, in minor units, exactly; NULL: its price is not known.';
COMMENT ON COLUMN usage_not_invoiced.currency IS 'ISO currency, lower case.';

COMMENT ON TABLE not_invoiced_told IS 'What of usage_not_invoiced was told.';
COMMENT ON COLUMN not_invoiced_told.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN not_invoiced_told.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN not_invoiced_told.period_start IS 'First minute of the period.';
COMMENT ON COLUMN not_invoiced_told.told_at IS 'When.';

COMMENT ON VIEW usage_unbilled IS 'Usage that is counted and in no submission, with the reason.';
COMMENT ON COLUMN usage_unbilled.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_unbilled.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_unbilled.period_start IS 'First minute of the period.';
COMMENT ON COLUMN usage_unbilled.period_end IS 'First minute after the period.';
COMMENT ON COLUMN usage_unbilled.quantity IS 'How much.';
COMMENT ON COLUMN usage_unbilled.reason IS
    'Why: waiting, unmapped, not_billed, before_subscription, not_compared, too_large, carried or rounded.';

COMMENT ON VIEW usage_events IS 'Raw events as rows; a tenant sees its own.';
COMMENT ON COLUMN usage_events.stream IS 'The Redis stream.';
COMMENT ON COLUMN usage_events.epoch IS 'Which life of the stream: another begins each time Redis loses data.';
COMMENT ON COLUMN usage_events.batch IS 'Number of the batch.';
COMMENT ON COLUMN usage_events.stream_id IS 'Its Redis entry id.';
COMMENT ON COLUMN usage_events.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_events.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_events.event_id IS 'The event''s id: given, or made of its stream and entry id.';
COMMENT ON COLUMN usage_events.id_given IS 'Whether the id was given.';
COMMENT ON COLUMN usage_events.quantity IS 'How much was used.';
COMMENT ON COLUMN usage_events.occurred_at IS 'When it was used.';
COMMENT ON COLUMN usage_events.dimensions IS 'All other fields.';
COMMENT ON COLUMN usage_events.retraction IS 'Whether it takes an earlier event back.';
COMMENT ON COLUMN usage_events.committed_at IS 'When it was committed.';

COMMENT ON TABLE usage_quotas IS 'What a tenant may use of a metric, by its plan and its own limits.';
COMMENT ON COLUMN usage_quotas.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_quotas.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_quotas.limit_quantity IS 'Quantity that is allowed in a window; NULL: unlimited.';
COMMENT ON COLUMN usage_quotas.cap IS 'What happens over it: none, soft or hard.';
COMMENT ON COLUMN usage_quotas.limit_window IS
    'What the limit counts over: period (the billing period), month (from the billing day) or day (UTC).';
COMMENT ON COLUMN usage_quotas.grace_until IS
    'Until when a hard cap does not deny: a payment failed, or the limit fell within its window.';
COMMENT ON COLUMN usage_quotas.refreshed_at IS 'When this was last worked out.';

COMMENT ON TABLE usage_alerts IS 'Thresholds that a tenant''s usage has passed.';
COMMENT ON COLUMN usage_alerts.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_alerts.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_alerts.limit_window IS 'What the limit counts over: period, month or day.';
COMMENT ON COLUMN usage_alerts.period_start IS 'First minute of the window.';
COMMENT ON COLUMN usage_alerts.threshold_percent IS 'The threshold, in per cent of the limit.';
COMMENT ON COLUMN usage_alerts.limit_quantity IS 'The limit then.';
COMMENT ON COLUMN usage_alerts.raised_at IS 'When it was passed.';

COMMENT ON TABLE alert_checks IS 'Usage that may have passed a threshold, for the notifier to look at.';
COMMENT ON COLUMN alert_checks.check_id IS 'Rising.';
COMMENT ON COLUMN alert_checks.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN alert_checks.metric IS 'What was used, by its name in the catalog.';

COMMENT ON TABLE alert_thresholds IS 'At how many per cent of a limit tenants are told.';
COMMENT ON COLUMN alert_thresholds.percent IS 'Per cent of a limit.';

COMMENT ON TABLE alert_settings IS 'Whom a tenant''s messages go to, and at which usage.';
COMMENT ON COLUMN alert_settings.tenant IS 'The customer of ours.';
COMMENT ON COLUMN alert_settings.email IS 'Where mail goes; NULL: none is sent.';
COMMENT ON COLUMN alert_settings.post_url IS 'Where messages are posted; NULL: nowhere.';
COMMENT ON COLUMN alert_settings.post_secret IS 'Signs what is posted.';
COMMENT ON COLUMN alert_settings.thresholds IS 'Per cent of a limit that are told of; NULL: as in the catalog.';
COMMENT ON COLUMN alert_settings.updated_at IS 'When the row last changed.';

COMMENT ON TABLE outgoing_messages IS 'What is told to others: a row for each way that a message goes.';
COMMENT ON COLUMN outgoing_messages.message_id IS 'One for what happened once, whoever noticed it.';
COMMENT ON COLUMN outgoing_messages.channel IS 'signal (Redis stream), mail or post.';
COMMENT ON COLUMN outgoing_messages.tenant IS 'The customer of ours that it is about; empty: none.';
COMMENT ON COLUMN outgoing_messages.kind IS 'What happened, such as payment_failed.';
COMMENT ON COLUMN outgoing_messages.destination IS 'An address of mail or a URL; empty for a signal.';
COMMENT ON COLUMN outgoing_messages.data IS 'What happened, in full.';
COMMENT ON COLUMN outgoing_messages.occurred_at IS 'When it happened.';
COMMENT ON COLUMN outgoing_messages.state IS 'waiting, sent or failed.';
COMMENT ON COLUMN outgoing_messages.attempts IS 'How often it was tried.';
COMMENT ON COLUMN outgoing_messages.next_attempt_at IS 'Not before then.';
COMMENT ON COLUMN outgoing_messages.lease_until IS 'Until then a notifier is sending it; NULL: none is.';
COMMENT ON COLUMN outgoing_messages.created_at IS 'When the row was made.';
COMMENT ON COLUMN outgoing_messages.waiting_since IS 'Since when it is tried; NOTIFIER_GIVE_UP_S counts from here.';
COMMENT ON COLUMN outgoing_messages.sent_at IS 'When it was taken.';
COMMENT ON COLUMN outgoing_messages.error IS 'Why the last attempt failed.';

COMMENT ON TABLE failing_addresses IS 'Addresses of mail and URLs that took nothing at the last attempt.';
COMMENT ON COLUMN failing_addresses.channel IS 'mail or post.';
COMMENT ON COLUMN failing_addresses.destination IS 'An address of mail or a URL.';
COMMENT ON COLUMN failing_addresses.failures IS 'Attempts that failed, in a row.';
COMMENT ON COLUMN failing_addresses.failing_since IS 'When the first of them failed.';
COMMENT ON COLUMN failing_addresses.retry_at IS 'No message is sent there before.';

COMMENT ON TABLE usage_window_changes IS
    'Tenants whose limits count over other windows since, until an aggregator has read their usage anew.';
COMMENT ON COLUMN usage_window_changes.tenant IS 'The tenant.';

COMMENT ON TABLE stripe_catch_up IS 'How far Stripe''s lists have been read, by one process at a time.';
COMMENT ON COLUMN stripe_catch_up.name IS 'events: those that were never delivered; objects: all of them, as they are.';
COMMENT ON COLUMN stripe_catch_up.owner IS 'The process that reads; NULL: none.';
COMMENT ON COLUMN stripe_catch_up.lease_until IS 'Until then nobody else reads.';
COMMENT ON COLUMN stripe_catch_up.position_at IS 'All events that were created before it have been read.';
COMMENT ON COLUMN stripe_catch_up.started_at IS 'When the run began; NULL: none is under way.';
COMMENT ON COLUMN stripe_catch_up.step IS 'The list that it reads.';
COMMENT ON COLUMN stripe_catch_up.after_id IS 'The last object of the list that it has read.';
COMMENT ON COLUMN stripe_catch_up.read_count IS 'How many objects it has read, by step.';
COMMENT ON COLUMN stripe_catch_up.done_at IS 'When the last run ended.';

COMMENT ON TABLE limit_changes IS 'Tenants whose own limits changed, until webhookd has brought their quotas in line.';
COMMENT ON COLUMN limit_changes.tenant IS 'The tenant.';
COMMENT ON COLUMN limit_changes.number IS 'Number of the newest change.';

COMMENT ON TABLE reconcile_runs IS 'Comparisons of what Stripe holds with what was sent.';
COMMENT ON COLUMN reconcile_runs.run_id IS 'Number of the run.';
COMMENT ON COLUMN reconcile_runs.reason IS 'Why it was made: nightly, asked, operator or restore.';
COMMENT ON COLUMN reconcile_runs.tenant IS 'The tenant that was compared; NULL: all.';
COMMENT ON COLUMN reconcile_runs.due_at IS 'When it was due, of a nightly one.';
COMMENT ON COLUMN reconcile_runs.started_at IS 'When it began.';
COMMENT ON COLUMN reconcile_runs.beat_at IS 'When it last found something; long ago without an end: it was cut off.';
COMMENT ON COLUMN reconcile_runs.finished_at IS 'When it ended; NULL: it runs, or was cut off.';
COMMENT ON COLUMN reconcile_runs.compared IS 'How many customers, metrics and periods were compared.';
COMMENT ON COLUMN reconcile_runs.drifted IS 'How many of them differ.';
COMMENT ON COLUMN reconcile_runs.unread IS 'How many Stripe did not tell of.';

COMMENT ON TABLE usage_drift IS 'The newest comparison of each customer, metric and period with Stripe.';
COMMENT ON COLUMN usage_drift.tenant IS 'The customer of ours that used it.';
COMMENT ON COLUMN usage_drift.metric IS 'What was used, by its name in the catalog.';
COMMENT ON COLUMN usage_drift.period_start IS 'First minute of the period.';
COMMENT ON COLUMN usage_drift.stripe_customer_id IS 'The customer at Stripe.';
COMMENT ON COLUMN usage_drift.event_name IS
    'The name of the meter''s events at Stripe; of usage records the subscription item.';
COMMENT ON COLUMN usage_drift.period_end IS 'First minute after the period.';
COMMENT ON COLUMN usage_drift.sent_quantity IS 'What was sent.';
COMMENT ON COLUMN usage_drift.open_quantity IS 'What Stripe may hold or not, such as calls in flight.';
COMMENT ON COLUMN usage_drift.stripe_quantity IS 'What Stripe holds.';
COMMENT ON COLUMN usage_drift.drift_units IS 'What Stripe holds beyond what was sent.';
COMMENT ON COLUMN usage_drift.explanation IS 'Minutes that differ, with identifiers and request ids.';
COMMENT ON COLUMN usage_drift.run_id IS 'The run that compared it.';
COMMENT ON COLUMN usage_drift.checked_at IS 'When it was compared.';

COMMENT ON TABLE schema_migrations IS
    'Migrations that were applied, by which stages tell whether the schema is theirs.';
COMMENT ON COLUMN schema_migrations.version IS 'Number of the migration.';
COMMENT ON COLUMN schema_migrations.name IS 'Name of its file.';
COMMENT ON COLUMN schema_migrations.checksum IS 'SHA-256 of its text.';
COMMENT ON COLUMN schema_migrations.compatible_from IS 'The oldest schema version whose builds it still suits.';
COMMENT ON COLUMN schema_migrations.applied_at IS 'When it was applied.';

COMMENT ON TABLE schema_functions IS 'By what text each function was last defined.';
COMMENT ON COLUMN schema_functions.name IS 'Name of the function.';
COMMENT ON COLUMN schema_functions.checksum IS 'SHA-256 of the text of deploy/functions/NAME.sql.';
COMMENT ON COLUMN schema_functions.applied_at IS 'When it was applied.';

COMMENT ON TYPE submission_sums IS 'What the submissions of one period hold, void ones left out.';
COMMENT ON COLUMN submission_sums.claimed IS 'Their quantity, without what is held.';
COMMENT ON COLUMN submission_sums.held IS 'The quantity of those held; NULL: none is.';
COMMENT ON COLUMN submission_sums.identifiers IS 'Identifiers of those held.';
COMMENT ON COLUMN submission_sums.first_at IS 'Least usage_at in the period, of void and carried ones too.';
COMMENT ON COLUMN submission_sums.last_at IS 'Greatest usage_at in the period, of void and carried ones too.';

COMMENT ON TYPE meter_place IS 'A customer''s meter that holds units of a period.';
COMMENT ON COLUMN meter_place.customer IS 'The customer at Stripe.';
COMMENT ON COLUMN meter_place.event_name IS 'The name of the meter''s events at Stripe.';
COMMENT ON COLUMN meter_place.units IS 'How many units it holds.';

COMMENT ON SEQUENCE usage_batch IS 'Numbers batches.';
COMMENT ON SEQUENCE usage_version IS 'Numbers changes of totals.';
COMMENT ON SEQUENCE limit_change IS 'Numbers changes of tenants'' own limits.';

COMMENT ON VIEW stage_instance_states IS 'The daemons that run, with what their heartbeats say of them.';
COMMENT ON COLUMN stage_instance_states.instance IS 'Name of the process.';
COMMENT ON COLUMN stage_instance_states.stage IS 'aggregator, sink, webhookd or another stage.';
COMMENT ON COLUMN stage_instance_states.version IS 'Version of the program.';
COMMENT ON COLUMN stage_instance_states.host IS 'The machine that it runs on.';
COMMENT ON COLUMN stage_instance_states.pid IS 'Its process id there.';
COMMENT ON COLUMN stage_instance_states.started_at IS 'When it began, by this database''s clock.';
COMMENT ON COLUMN stage_instance_states.seen_at IS 'When it last renewed its row.';
COMMENT ON COLUMN stage_instance_states.ready IS 'Whether it can work.';
COMMENT ON COLUMN stage_instance_states.reason IS
    'What is missing while it is not ready, or what holds it while it is.';
COMMENT ON COLUMN stage_instance_states.state IS
    'ready, not_ready, silent (no heartbeat for 20 s) or gone (and another one was started since).';
