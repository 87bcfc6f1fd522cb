"""Results as plain text for a terminal: short, exact, with the next step. Returns strings; `cli.py` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.core.shown import one_line, shown

if TYPE_CHECKING:
    from pipeline.commands.run.run_recipe import Outcome
    from pipeline.experiment.findings.found import Found
    from pipeline.plan.graph import Plan


IDS = ("duplicate_of", "item", "contained_item")  # signals that name another document: the next thing to ask for


def table(rows: Sequence[Sequence[object]], *, head: Sequence[str]) -> str:
    """Return rows as aligned columns; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(head[i]), *(len(row[i]) for row in cells)) if cells else len(head[i]) for i in range(len(head))]
    right = [all(isinstance(row[i], (int, float)) or row[i] is None for row in rows) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()

    return "\n".join([line(head), *(line(row) for row in cells)])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:,.4g}"
    return str(value)


def plan_rows(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data."""
    from pipeline.experiment.chance.power import power_of
    from pipeline.plan.summary import summary_of

    power = power_of(plan)
    return asdict(summary_of(plan)) | {"power": asdict(power) if power is not None else None}


def plan_text(plan: Plan) -> str:
    """Return a plan as a table and one closing line."""
    from pipeline.experiment.chance.power import power_of, power_text
    from pipeline.plan.groups import groups_of, reason_of
    from pipeline.report.draw import figures

    data = plan_rows(plan)
    by_folder = {node.folder: row for node, row in zip(plan.nodes, data["nodes"], strict=True)}
    rows = []
    for group in groups_of(plan, alike=lambda node: (node.complete, reason_of(node))):
        first = by_folder[group.nodes[0].folder]
        reason = reason_of(group.nodes[0])
        name = group.name if group.of_many else _at_home(first)
        rows.append([first["action"], first["kind"], name, None if group.of_many else first["rows"], reason])
    body = table(rows, head=["action", "kind", "name", "rows", "reason"])
    most = figures.dollars(data["max_cost_usd"], up=True)
    told = [row for row in data["nodes"] if row["forecast"] is not None]
    cost = f"at most {most}{_expected(told)}" if data["max_cost_usd"] else "no paid requests"
    todo = f"{data['to_build']} of {len(plan.nodes)} to build, {cost}." if data["to_build"] else "Nothing to do."
    power = power_of(plan)
    said = [data["to_come"] if data["to_come"] else "", power_text(power) if power is not None else "", todo]
    said += [_forecast_line(row) for row in told]
    return "\n".join([body, "", *(line for line in said if line)])


def _expected(rows: Sequence[dict[str, Any]]) -> str:
    """Return the sum of the forecasts; their intervals are added up too, which is wide."""
    from pipeline.report.draw.figures import dollars_between

    sums = [sum(row["forecast"][key] for row in rows) for key in ("usd", "low_usd", "high_usd")]
    return f", probably {dollars_between(*sums)}" if rows else ""


def _forecast_line(row: dict[str, Any]) -> str:
    """Say what a step will cost; a cap counts what is in the ledger too."""
    from pipeline.report.draw.figures import dollars

    forecast = row["forecast"]
    there, wanted = forecast["there"], forecast["requests"]
    told = f"{_at_home(row)}: {wanted:,} requests, "
    told += (
        f"{there:,} of them {'' if forecast['looked_up'] else 'probably '}in the ledger, the others " if there else ""
    )
    told += f"probably {dollars(forecast['usd'])}, by {forecast['basis']}."
    cap = forecast["cap_usd"]
    stops = cap is not None and forecast["counted_usd"] + forecast["low_usd"] > cap
    told += " The cap stops it before." if stops else ""
    return f"{told}\n{_at_home(row)}: {forecast['note']}." if forecast["note"] else told


def _at_home(node: dict[str, Any]) -> str:
    """Return `clean.exact_dedup` for a step of a dataset, and how many other datasets share its measurement."""
    if not node["datasets"]:
        return str(node["name"])
    first, *others = node["datasets"]
    return f"{first}.{node['name']}" + (f" (also {', '.join(others)})" if others else "")


def outcome_text(outcome: Outcome) -> str:
    """Return the end of a run in a few lines, what was made at last."""
    from pipeline.report.draw import figures

    did = (
        f"built {len(outcome.built)}, reused {outcome.reused}"
        if outcome.built
        else "nothing was built"
        if outcome.nothing_new
        else "nothing to do, all results are there"
    )
    cost = f", {figures.dollars(outcome.cost_usd)}" if outcome.cost_usd else ""
    lines = [f"{outcome.recipe}: {did} ({outcome.seconds:.1f} s{cost})", outcome.sentence]
    if outcome.next_step:
        lines.append(outcome.next_step)
    if outcome.promoted:
        lines.append(f"registry: {outcome.promoted}")
    if outcome.found is not None:
        lines.extend(_found_lines(outcome.found))
    lines += [f"report: {outcome.report}"] if outcome.report else []
    for made in outcome.made:
        size = "" if made.bytes is None else f", {figures.size(made.bytes)}"
        lines.append(f"{made.dataset}: {_counted(made.documents, 'document')}{size}")
    lines.extend(f"warning: {warning}" for warning in outcome.warnings)
    return "\n".join(lines)


def _found_lines(found: Found) -> list[str]:
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in sorted(found.weights.items(), key=lambda w: -w[1]))
    gain = found.predicted_of_around - found.predicted
    return [
        f"{found.mixture}: {weights}. Predicted from {found.proxies} proxies: {gain:.3f} bits per byte less than "
        f"{found.around}.",
        f"recipe: {found.recipe}",
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def status_text(data: dict[str, Any]) -> str:
    """Return the state of a workspace: what is there, what is unfinished, what was judged."""
    from pipeline.report.draw import figures

    sets = [r for r in data["results"] if r["kind"] in ("source", "made", "dataset")]
    if not data["results"] and not data["unfinished"] and not data["stores"]:
        return f"{data['workspace']}: empty. Start with: tamis run recipes/quickstart.yaml"
    rows = [
        [
            r["kind"],
            r["name"],
            r["rows_in"],
            r["rows_out"],
            r["dropped"],
            r["quarantined"],
            round(r["size_bytes"] / 1e6, 1),
            r["folder"],
        ]
        for r in sets
    ]
    head = ["kind", "name", "rows in", "rows out", "dropped", "quarantined", "MB", "folder"]
    lines = [table(rows, head=head), ""]
    lines += [f"{verdict['certificate']}: {_verdict(verdict)}" for verdict in data["verdicts"]]
    lines += [
        f"registry {entry['name']}: version {entry['current']} of {len(entry['versions'])}"
        for entry in data["registry"]
    ]
    lines += [
        f"dedup store {store['name']}: version {store['version']}, {_counted(store['documents'], 'document')}"
        for store in data["stores"]
    ]
    lines += [f"unfinished: {folder} (the next run goes on with it)" for folder in data["unfinished"]]
    if data["store"] is not None:
        store = data["store"]
        lines.append(f"store {store['url']}: {figures.size(store['size_bytes'])}; cache {store['cache']}")
        lines.append(f"only here: {', '.join(store['only_here'])}")
        lines += [f"written to by {store['writer']}"] if store["writer"] else []
        lines += [store["doubt"]] if store["doubt"] else []
        lines += [f"{store['open_uploads']} unfinished uploads: tamis gc"] if store["open_uploads"] else []
    others = len(data["results"]) - len(sets)
    told = f"{_counted(len(sets), 'set')} of documents and {_counted(others, 'other result')}"
    lines.append(f"{told}, {figures.dollars(data['cost_usd'])} spent.")
    return "\n".join(lines)


def _verdict(verdict: dict[str, Any]) -> str:
    return f"{verdict['sentence']} {verdict['next_step']}".rstrip()


def registry_text(data: dict[str, Any]) -> str:
    """Return promoted versions as a table."""
    rows = [
        [
            "*" if record["version"] == entry["current"] else "",
            entry["name"],
            record["version"],
            record["promoted_at"],
            record["mixture"],
            record["reason"],
        ]
        for entry in data["names"]
        for record in entry["versions"]
    ]
    if not rows:
        return "Nothing was promoted yet."
    return table(rows, head=["", "name", "version", "promoted", "mixture", "reason"])


def why_text(data: dict[str, Any]) -> str:
    """Return one document's story."""
    lines = [data["id"]]
    lines += [excerpt(story["document"]["text"], 200) for story in data["datasets"][:1]]
    lines += [
        f"{row['source']}: quarantined at {row['place']}: {row['reason']} ({excerpt(row['excerpt'], 100)})"
        for row in data["quarantined"]
    ]
    for story in data["datasets"]:
        verdict = "kept" if story["kept"] else f"dropped: {story['reason']}"
        lines += ["", f"{story['dataset']} ({story['folder']}): {verdict}"]
        rows, ids = [], []
        for step in story["steps"]:
            ruled = {rule["signal"] for rule in step["rules"]}
            for rule in step["rules"]:
                rows.append(
                    [
                        step["step"],
                        rule["signal"],
                        rule["value"],
                        f"{rule['op']} {_cell(float(rule['threshold']))}",
                        "keep" if rule["verdict"] == "keep" else rule["verdict"].upper(),
                        rule["margin"],
                        rule["parameter"],
                    ]
                )
            others = {name: value for name, value in step["signals"].items() if name not in ruled}
            long = {name: value for name, value in others.items() if name in IDS and _short(value) != value}
            rows += [[step["step"], k, _short(v), "", "", "", ""] for k, v in others.items() if k not in long]
            ids += [f"{step['step']}  {name}  {value}" for name, value in long.items()]
            if step["error"]:
                rows.append([step["step"], "error", step["error"], "", "QUARANTINE", "", ""])
        if rows:
            lines.append(table(rows, head=["step", "signal", "value", "kept if", "verdict", "margin", "set by"]))
        lines += ids
    return "\n".join(lines)


def _short(value: object) -> object:
    return excerpt(value, 60) if isinstance(value, str) else value


def look_text(data: dict[str, Any]) -> str:
    """Return a sample of documents, a few lines each."""
    blocks = []
    for document in data["documents"]:
        why = document.get("reason")
        verdict = f"  [{why}: {document['why']}]" if why and document.get("why") else f"  [{why}]" if why else ""
        blocks.append(f"{document['id']}{verdict}\n    {excerpt(document['text'], 300)}")
    if not data["documents"]:
        return data.get("empty") or data.get("sealed_why") or f"No such documents in {data['dataset']}."
    dropped = data["documents"][0].get("kept") is False
    fate = f" dropped by {data['rule']}" if data.get("rule") else " dropped" if dropped else ""
    unit = "quarantined rows" if data.get("quarantined") else "documents"
    fate = "" if data.get("quarantined") else fate
    of = f"{len(data['documents'])} of {data['total']:,} {unit} of {data['dataset']}{fate}"
    came = f"; {_counted(data['rows_in'], 'document')} came in" if data.get("rows_in") is not None else ""
    sealed = [data["sealed_why"]] if data.get("sealed") else []
    return "\n".join([*blocks, "", of + came, *sealed])


def what_if_text(data: dict[str, Any]) -> str:
    """Return the gains and losses of other thresholds."""
    lines = []
    for change in data["datasets"]:
        lines.append(f"{change['dataset']}: {change['kept_before']:,} -> {_counted(change['kept_after'], 'document')}")
        for side, sign in (("gained", "+"), ("lost", "-")):
            found = change[side]
            size = f"{_counted(found['documents'], 'document')}, about {_counted(found['tokens'], 'token')}"
            lines.append(f"{sign if found['documents'] else ''}{size} {side}")
            fate = "dropped before" if side == "gained" else "now dropped"
            lines += [f"    {row['documents']:,} {fate} by {row['rule']}" for row in found["by"]]
            then = "was" if side == "gained" else "now"
            lines += [
                f"        {example['id']} ({then} {example[then]}): {excerpt(example['text'], 100)}"
                for example in found["examples"]
            ]
        if change["approximate_after"]:
            lines.append(
                f"    {', '.join(change['approximate_after'])} would see other documents; stored signals stand in."
            )
        if change["also_affected"]:
            lines.append(f"    Datasets made from it change too: {', '.join(change['also_affected'])}.")
        lines.append(f"    Tokens by {change['tokens_by']}.")
    return "\n".join([*lines, "Nothing was written. To apply it, edit the recipe and run it."])


def measure_text(data: dict[str, Any]) -> str:
    """Return what a measurement counted and where its rows are."""
    lines = [f"{data['kept']:,} of {data['rows_in']:,} rows kept"]
    lines += [f"    {count:,} {reason}" for reason, count in data["dropped"].items()]
    if data["quarantined_rows"]:
        told = ", ".join(f"{count:,} {reason}" for reason, count in data["quarantined"].items())
        lines.append(f"    {told}: no documents, in {data['quarantined_rows']}")
    if data["left_out"]:
        lines.append(f"    left out, as a whole dataset is needed: {', '.join(data['left_out'])}")
    return "\n".join([*lines, f"{data['out']}: {len(data['columns'])} columns"])


def diff_text(data: dict[str, Any]) -> str:
    """Return what one dataset gained and lost beside another, by rule."""
    a, b = data["a"], data["b"]
    lines = [f"{a['folder']} -> {b['folder']}: {a['documents']:,} -> {_counted(b['documents'], 'document')}"]
    for side, sign, owner in (("gained", "+", a), ("lost", "-", b)):
        found = data[side]
        sign = sign if found["documents"] else ""
        size = f"{sign}{found['bytes']:,} bytes, about {sign}{found['tokens']:,} tokens"
        lines.append(f"{sign}{_counted(found['documents'], 'document')} {side}, {size}")
        lines += [f"    {row['documents']:,} {_charged(row['rule'], owner)}" for row in found["by"]]
        lines += [f"        {row['id']} ({row['rule']}): {excerpt(row['text'], 100)}" for row in found["examples"]]
    resized = data["resized"]
    if resized["documents"]:
        lines.append(
            f"{resized['documents']:,} of {data['both']:,} kept by both differ in size: {resized['bytes']:+,} bytes"
        )
    return "\n".join([*lines, f"Tokens by {data['tokens_by']}."])


def _charged(rule: str, owner: dict[str, Any]) -> str:
    return f"{rule} of {owner['folder']}" if rule == "not in its input" else f"dropped in {owner['folder']} by {rule}"


def stats_text(data: dict[str, Any]) -> str:
    """Return distributions as tables."""
    lines = []
    if data["by"]:
        rows = [[g["group"], g["documents"], g["kept"], f"{g['kept_fraction']:.1%}"] for g in data["groups"]]
        lines += [table(rows, head=[data["by"], "documents", "kept", "share"]), ""]
    numbers = [row for row in data["signals"] if "values" not in row]
    keys = ["signal", *(["group"] if data["by"] else []), "measured", "mean", "min", "p05", "p25", "p50", "p75", "p95"]
    if numbers:
        head = [*keys, "max", "kept_if"]
        rows = [[row[key] if row[key] is not None else "" for key in head] for row in numbers]
        lines.append(table(rows, head=[data["by"] if name == "group" else name.replace("_", " ") for name in head]))
    for row in data["signals"]:
        if "values" in row:
            group = f" of {row['group']}" if data["by"] else ""
            lines.append(f"{row['signal']}{group}: {row['measured']:,} of {row['documents']:,} documents")
            lines += [f"    {times:,} {excerpt(value, 60)}" for value, times in row["values"].items()]
    fate = "" if data["documents"] == "all" else f", {data['documents']} documents only"
    return "\n".join([*lines, f"{data['folder']}{fate}", *([data["empty"]] if data.get("empty") else [])])


def plugins_text(data: dict[str, Any]) -> str:
    """Return the steps from outside as a table."""
    if not data["plugins"]:
        return "No plugins. Name a file with --plugin, or install a package with an entry point `tamis.steps`."
    rows = [[row[key] for key in ("step", "kind", "version", "origin", "about")] for row in data["plugins"]]
    problems = [row["problem"] for row in data["plugins"] if row["problem"]]
    return "\n".join([table(rows, head=["step", "kind", "version", "from", "about"]), *problems])


def excerpt(text: str, length: int) -> str:
    """Return the start of a text on one line, fit to be shown."""
    flat = shown(one_line(text))
    return flat if len(flat) <= length else flat[: length - 3] + "..."


def verify_text(data: dict[str, Any]) -> str:
    """Return one line for each damaged file, and one on what was checked."""
    lines = [row["problem"] for row in (*data["damaged"], *data["changed_inputs"])] + data["judged_otherwise"]
    checked = f"{data['results']:,} results, {data['files']:,} files, {data['size_bytes'] / 1e6:,.1f} MB"
    checked += f", {data['stores']:,} dedup stores" if data["stores"] else ""
    checked += f", {data['versions']:,} registered versions" if data["versions"] else ""
    state = f"{len(data['damaged']):,} damaged" if data["damaged"] else "all as they were written"
    state += f", but {len(data['changed_inputs']):,} inputs changed since" if data["changed_inputs"] else ""
    return "\n".join([*lines, f"{data['workspace']}: {checked}: {state}."])
