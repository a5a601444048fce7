"""Does the ledger hold exactly what was emitted? And how many bytes did that take?"""


def find_faults(line, emitted):
    """What is wrong, as texts; [] if nothing."""
    audit = line.audit()
    faults = [] if audit.ok else ["the audit does not balance:\n" + audit.text]
    wanted = {"added": emitted.entries, "counted": emitted.different,
              "duplicates": emitted.entries - emitted.different,
              "rejected": 0, "conflicts": 0, "lost": 0, "waiting": 0, "difference": 0}
    for term, number in wanted.items():
        if audit.total(term) != number:
            faults.append(f"{term} is {audit.total(term):,}, not {number:,}")
    return faults + find_wrong_totals(emitted.totals, ledger_totals(line))


def find_wrong_totals(expected, found):
    wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
    if not wrong:
        return []
    key = min(wrong)
    return [f"{len(wrong):,} totals differ: {key} is {found.get(key)}, not {expected.get(key)}"]


def ledger_totals(line):
    """Over billing periods, which may change within the minutes: sums add up, levels stand last."""
    rows = line.sql("""
        SELECT tenant, metric, CASE WHEN m.aggregation = 'last'
                               THEN (array_agg(t.quantity ORDER BY t.period_start DESC))[1]
                               ELSE sum(t.quantity) END AS quantity
          FROM usage_totals t JOIN metrics m USING (metric)
         GROUP BY tenant, metric, m.aggregation""")
    return {(row.tenant, row.metric): row.quantity for row in rows}


def raw_bytes(line):
    """Of the raw events: their tables with TOAST and indexes."""
    return int(line.value("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits "
                          "WHERE inhparent = 'usage_batches'::regclass"))


def database_bytes(line):
    return line.value("SELECT pg_database_size(current_database())")
