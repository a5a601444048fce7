"""Plots of the results as PNG, by gnuplot; without it there are none."""

import shutil
import subprocess

from . import settings

STYLE = """
set terminal pngcairo size 960,600 font "Sans,12"
set output "{path}"
set title "{title}"
set xlabel "{x}"
set ylabel "{y}"
set grid
set rmargin 6
set key {key}
"""


def draw(report):
    if not shutil.which("gnuplot"):
        print("no plots: gnuplot is not installed (gnuplot-nox)")
        return
    if report["scenarios"]:
        draw_tenants(report["scenarios"])
    if "batches" in report:
        draw_batches(report["batches"])
    if "lag" in report:
        draw_lag(report["lag"])


def draw_tenants(scenarios):
    curves = []
    for percent in sorted({s["repeats_percent"] for s in scenarios}):
        these = sorted((s for s in scenarios if s["repeats_percent"] == percent),
                       key=lambda s: s["tenants"])
        for who in "floor", "aggregator", "peer":
            curves.append((f"{NAMES[who]}, {percent} % repeats", looks(who, percent),
                           [(s["tenants"], s[who]["per_s"]) for s in these]))
        if percent == 0:
            curves.append(("target: its part of the floor", 'pt 2 ps 2 lw 2 lc rgb "#d62728" with points',
                           [(s["tenants"], s["floor"]["per_s"] * settings.RATIO_MIN[s["tenants"]])
                            for s in these if s["tenants"] in settings.RATIO_MIN]))
    plot("tenants.png", curves, title="Draining a stream, by number of tenants",
         x="tenants (one metric each)", y="events per second", key="outside bottom center horizontal",
         more=across([s["tenants"] for s in scenarios]))


NAMES = {"floor": "bare XREAD loop", "aggregator": "aggregator", "peer": "peer"}


def looks(who, percent):
    color = {"floor": "#7f7f7f", "aggregator": "#1f77b4", "peer": "#ff7f0e"}[who]
    return f'pt 7 lw 2 dt {1 if percent == 0 else 2} lc rgb "{color}" with linespoints'


def draw_batches(result):
    points = [(p["batch_max"], p["per_s"]) for p in result["points"]]
    ends = [(points[0][0], result["floor"]["per_s"]), (points[-1][0], result["floor"]["per_s"])]
    curves = [("aggregator", looks("aggregator", 0), points),
              ("bare XREAD loop", 'lw 2 lc rgb "#7f7f7f" with lines', ends)]
    target = settings.RATIO_MIN.get(result["tenants"])
    if target:
        curves.append((f"target: {target} of that", 'lw 2 dt 2 lc rgb "#d62728" with lines',
                       [(x, y * target) for x, y in ends]))
    plot("batches.png", curves, title=f"Draining a stream of {result['tenants']:,} tenants, "
         "by size of a batch", x="events a batch at most (AGGREGATOR\\\\_BATCH\\\\_MAX)",
         y="events per second", key="outside bottom center horizontal",
         more=across([x for x, _ in points]))


def draw_lag(result):
    lags = result["probes_us"]
    points = [(us / 1000, 100 * (i + 1) / len(lags)) for i, us in enumerate(lags)]
    target = settings.LAG_P99_MS_MAX
    curves = [("probes", 'lw 2 lc rgb "#1f77b4" with steps', points),
              ("target: 99 % within 1.5 s", 'lw 2 dt 2 lc rgb "#d62728" with lines',
               [(target, 0), (target, 99), (0, 99)])]
    plot("lag.png", curves, title=f"From XADD to the quota cache at {result['per_s']:,} events/s, "
         f"{result['tenants']:,} tenants", x="milliseconds", y="percent of the probes that arrived",
         key="bottom center", more="set yrange [0:100]\n"
         f"set xrange [0:{max(target * 1.1, points[-1][0])}]\n")


def across(xs):
    """A logarithmic axis with room beside the outer points; rates from 0 up."""
    return (f"set logscale x\nset xrange [{min(xs) / 1.5}:{max(xs) * 1.5}]\n"
            "set yrange [0:*]\nset format y '%.0s %c'\n")


def plot(name, curves, more, **words):
    """curves: [(title, gnuplot's looks, [(x, y), …])]"""
    script = STYLE.format(path=settings.OUT / name, **words) + more
    for i, (_, _, points) in enumerate(curves):
        script += f"$d{i} << EOD\n" + "".join(f"{x} {y}\n" for x, y in points) + "EOD\n"
    script += "plot " + ", ".join(f'$d{i} title "{title}" {looks_like}'
                                  for i, (title, looks_like, _) in enumerate(curves)) + "\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
