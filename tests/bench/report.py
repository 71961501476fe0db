"""Results of benches: rows with ratio and bar, saved as JSON and written as one page."""
import json
import os
import platform
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/bench"
PAGE = ROOT / "docs/benchmarks.md"

HEAD = """# Benchmarks

Written by `make bench` from its results; each row is the median of its rounds, ours and the
peer's taken in turn on the same machine in the same run. Ratios are what is promised, absolute
numbers say little about another machine. `bar` is the first bar of DESIGN.md section 14 where
there is one. A bar that is missed fails the run, unless the miss is known: then the reason is in
[consensus](explanation/consensus.md), and the run fails when it has become worse.

"""


def row(metric, unit, better, ours, peer=None, peer_name="", bar=None, limit=None, known=None):
    """`ours` and `peer`: lists with one value a round. `bar`: on the ratio; `limit`: on ours.
    `known`: the ratio down to which a miss of the bar is known, and its reason written in docs/."""
    ours_value = statistics.median(ours)
    peer_value = statistics.median(peer) if peer else None
    ratio = ours_value / peer_value if peer_value else None
    holds = None
    if bar is not None and ratio is not None:
        holds = ratio <= bar if better == "lower" else ratio >= bar
    elif limit is not None:
        holds = ours_value <= limit if better == "lower" else ours_value >= limit
    is_known = (holds is False and known is not None
                and (ratio <= known if better == "lower" else ratio >= known))
    return {"metric": metric, "unit": unit, "better": better, "ours": ours_value,
            "peer": peer_value, "peer_name": peer_name, "ratio": ratio,
            "bar": bar if bar is not None else limit, "holds": holds, "is_known": is_known,
            "rounds": {"ours": ours, "peer": peer or []}}


def _machine():
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False,
                            capture_output=True, text=True).stdout.strip()
    return {"commit": commit, "cpus": os.cpu_count(), "kernel": platform.release(),
            "accel": os.environ.get("ACCEL", "auto"),
            "is_realtime": os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)}


def save(name, rows):
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    (FOLDER / f"{name}.machine.json").write_text(json.dumps(_machine(), indent=1) + "\n")


def _number(value):
    return "" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _table(rows):
    lines = ["| metric | unit | better | ours | peer | ratio | bar | holds | rounds (ours; peer) |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for entry in rows:
        rounds = "; ".join(", ".join(_number(value) for value in entry["rounds"][side])
                           for side in ("ours", "peer") if entry["rounds"][side])
        peer = f"{_number(entry['peer'])} ({entry['peer_name']})" if entry["peer"] else ""
        holds = {True: "yes", False: "**no**", None: ""}[entry["holds"]]
        if entry.get("is_known"):
            holds += ", known"
        lines.append(f"| {entry['metric']} | {entry['unit']} | {entry['better']} "
                     f"| {_number(entry['ours'])} | {peer} | {_number(entry['ratio'])} "
                     f"| {_number(entry['bar'])} | {holds} | {rounds} |")
    return "\n".join(lines) + "\n"


def write():
    text = HEAD
    for path in sorted(FOLDER.glob("*.json")):
        if path.name.endswith(".machine.json"):
            continue
        machine = json.loads(path.with_name(f"{path.stem}.machine.json").read_text())
        text += (f"## {path.stem}\n\nCommit {machine['commit']}, {machine['cpus']} CPUs, "
                 f"kernel {machine['kernel']}, ACCEL={machine['accel']}"
                 + (", scheduled before all else" if machine.get("is_realtime") else "")
                 + ".\n\n"
                 + _table(json.loads(path.read_text())) + "\n")
    PAGE.write_text(text)
