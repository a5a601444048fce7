"""Claims are made in two halves side by side, each for tenants of its own."""
from support.sink import add_tenants, count, once, states, total

HALF = "(hashtext(tenant) & 1) + 1"
CLAIMS = "hashtext('meterline claims')"


def test_a_half_that_waits_keeps_no_other_waiting_but_all_who_want_the_claims_alone(shop):
    tenants = [f"t{n}" for n in range(12)]
    add_tenants(shop, *tenants)
    for tenant in tenants:
        count(shop, tenant, "api_calls", "3")
    halves = {half: shop.sql(f"SELECT tenant FROM usage_totals WHERE {HALF} = %s", half) for half in (1, 2)}
    assert halves[1] and halves[2]
    shop.sql("CREATE FUNCTION wait_in_half() RETURNS trigger LANGUAGE plpgsql AS "
             "$$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NEW; END $$")
    shop.sql("CREATE TRIGGER wait_in_half BEFORE INSERT ON usage_submissions FOR EACH ROW "
             f"WHEN ({HALF.replace('tenant', 'NEW.tenant')} = 1) EXECUTE FUNCTION wait_in_half()")
    with shop.postgres.connect() as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(77)")
        sink = shop.start_sink(SINK_INTERVAL_S=1)
        shop.wait_for(lambda: states(shop) == {"sent": len(halves[2])})
        assert not shop.value(f"SELECT pg_try_advisory_lock({CLAIMS})")
        cursor.execute("SELECT pg_advisory_unlock(77)")
    shop.wait_for(lambda: states(shop) == {"sent": len(tenants)})
    sink.term()
    assert shop.value(f"SELECT pg_try_advisory_lock({CLAIMS})")
    assert all(total(shop, tenant, "api_calls") == 3 for tenant in tenants)


def test_sinks_share_the_halves_and_claim_each_difference_once(shop):
    tenants = [f"t{n}" for n in range(300)]
    add_tenants(shop, *tenants)
    for step in range(3):
        shop.emit([{"tenant": tenant, "metric": "api_calls"} for tenant in tenants])
        shop.must("aggregator", "--once")
        stages = [shop.start("sink", args=["--once"], label=f"once {n}") for n in range(3)]
        assert [stage.wait_exit(60) for stage in stages] == [0, 0, 0]
        assert shop.value("SELECT sum(quantity) FROM usage_submissions") == 300 * (step + 1)
    once(shop)
    assert all(total(shop, tenant, "api_calls") == 3 for tenant in tenants[::37])
