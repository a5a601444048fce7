"""The catalog that comes with the project, and one more metric."""

import json

from line.paths import CATALOG


def add_metric(line, name):
    catalog = json.loads(CATALOG.read_text())
    catalog["metrics"].append({"metric": name, "name": "x", "unit": "x", "aggregation": "sum", "transport": "none"})
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(catalog))
    line.must("meterctl", "catalog", "apply", path)
