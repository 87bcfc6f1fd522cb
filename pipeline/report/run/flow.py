"""A plan and its cards -> the flow of documents as one picture: sources, datasets, mixtures, search, gate.

The picture is layered: each set of documents stands one column after what it needs, links that jump a column get a
lane of their own in it, and columns are ordered by the middle of their neighbours until few links cross. A link is as
wide as the square root of the documents that it carries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from pipeline.core.files.card import Card
from pipeline.plan.graph import Plan
from pipeline.recipe.sections import SweepSection
from pipeline.report.draw import figures

BOX_WIDTH, BOX_HEIGHT, GAP_Y, LANE = 142, 58, 16, 14
PAGE_WIDTH, LEAST_GAP, MOST_GAP = 1010, 44, 130  # pixels: the picture fills the page where it can
MOST_NAME = 14  # characters that fit into a box
LEAST_START = 4  # of them, where a longer name is cut
SEARCH = "search of weights"  # no dataset is called so
THINNEST, WIDEST = 1.25, 9.0  # pixels of a link


@dataclass(slots=True)
class Box:
    """One set of documents, mixture or gate; a box without lines is a lane for a link to pass."""

    key: str
    name: str
    kind: str
    lines: tuple[str, ...] = ()
    documents: int = 0
    before: list[str] = field(default_factory=list)
    target: str = ""  # the id of its section on the page
    column: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def height(self) -> int:
        return BOX_HEIGHT if self.lines else LANE

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


Boxes = dict[str, Box]


def flow_picture(plan: Plan, cards: Mapping[str, Card], *, outcome: str) -> Markup:
    """Draw how documents pass from the sources to the gate, with the counts at each place."""
    boxes = _boxes(plan, cards, outcome=outcome)
    _assign_columns(boxes)
    columns = _with_lanes(boxes)
    _place(columns, boxes)
    gap = (PAGE_WIDTH - len(columns) * BOX_WIDTH) / max(len(columns) - 1, 1)
    pitch = BOX_WIDTH + min(max(gap, LEAST_GAP), MOST_GAP)
    for box in boxes.values():
        box.x = round(box.column * pitch)
    width = max((box.x + BOX_WIDTH for box in boxes.values()), default=0) + 4
    height = max((box.y + box.height for box in boxes.values()), default=0) + 4
    most = max([box.documents for box in boxes.values()] + [1])
    shapes = [_link(boxes[parent], box, most=most) for box in boxes.values() for parent in box.before]
    shapes += [_draw(box) for box in boxes.values() if box.lines]
    return Markup(
        '<svg class="flow" role="img" width="{w}" height="{h}" viewBox="-2 -2 {w} {h}"><title>{t}</title>{b}</svg>'
    ).format(
        w=f"{width:g}",
        h=f"{height:g}",
        t=_spoken(boxes),
        b=Markup("").join(shapes),
    )


def _boxes(plan: Plan, cards: Mapping[str, Card], *, outcome: str) -> Boxes:
    boxes: Boxes = {}
    for name, source in plan.sources.items():
        boxes[name] = _documents(name, "source", cards.get(source.identity), [])
    for name, planned in plan.datasets.items():
        parents = [parent for parent in planned.spec.inputs if parent in boxes]
        boxes[name] = _documents(name, "dataset", cards.get(planned.node.identity), parents)
    gate, sweep = plan.recipe.gate, plan.recipe.sweep
    mixtures = dict(plan.mixtures)
    roles = {gate.candidate: "candidate"} if gate is not None else {}
    roles |= {gate.baseline: "baseline"} if gate is not None and gate.verdict else {}
    if sweep is not None:
        boxes[SEARCH] = _search(plan, sweep, cards, boxes)
        mixtures.setdefault(sweep.as_, plan.recipe.mixtures[sweep.around])
    for name, mixture in mixtures.items():
        node = plan.experiment.mixtures.get(name) if plan.experiment is not None else None
        card = cards.get(node.identity) if node is not None else None
        tokens = f"{figures.count(card.details.get('num_tokens'))} tokens" if card is not None else "not built"
        role = roles.get(name, name)
        lines = (tokens, "mixture" if role == name else f"mixture, {role}")
        parents = [dataset for dataset in mixture.weights if dataset in boxes]
        parents += [SEARCH] if sweep is not None and name == sweep.as_ else []
        target = f"mixture-{name}" if card is not None else ""
        boxes[f"mixture {name}"] = Box(f"mixture {name}", name, "mixture", lines, before=parents, target=target)
    if gate is not None:
        held = [name for name in gate.on if name in boxes]
        judged = [gate.baseline, gate.candidate] if gate.verdict else list(mixtures)
        state = (outcome if outcome != "none" else "not judged yet") if gate.verdict else "no verdict asked"
        lines = (state, f"on {figures.counted(len(gate.on), 'held-out set')}")
        parents = [*(f"mixture {name}" for name in judged), *held]
        name, target = ("gate", "verdict") if gate.verdict else ("comparison", "comparison")
        boxes["gate"] = Box("gate", name, f"gate {outcome}", lines, before=parents, target=target)
    return boxes


def _search(plan: Plan, sweep: SweepSection, cards: Mapping[str, Card], boxes: Boxes) -> Box:
    rounds = plan.experiment.rounds if plan.experiment is not None else ()
    tried = sum(len(found.lanes) for found in rounds if found.node.identity in cards)
    so_far = " so far" if tried < sweep.proxies + sweep.anchors else ""
    lines = (figures.counted(sweep.rounds, "round"), f"{tried:,} proxies{so_far}" if tried else "not begun")
    before = [name for name in sweep.on if name in boxes]
    return Box(SEARCH, "search", "search", lines, before=before, target="search")


def _documents(name: str, kind: str, card: Card | None, parents: list[str]) -> Box:
    if card is None:
        return Box(name, name, kind, ("not built", ""), before=parents)
    lost = sum(card.dropped.values()) + sum(card.quarantined.values())
    second = f"{figures.MINUS}{figures.count(lost)}" if lost else "made" if card.kind == "made" else kind
    lines = (figures.counted(card.rows_out, "document"), second)
    target = f"{card.kind}-{name}"  # source, dataset or made
    return Box(name, name, kind, lines, documents=card.rows_out, before=parents, target=target)


def _assign_columns(boxes: Boxes) -> None:
    """Put each box one column after its latest parent; a dataset without parents moves next to its first user."""
    for box in boxes.values():
        box.column = max((boxes[name].column + 1 for name in box.before), default=0)
    mixtures = [box for box in boxes.values() if box.kind == "mixture"]
    for box in mixtures:  # stand above each other
        box.column = max(other.column for other in mixtures)
    if "gate" in boxes:
        boxes["gate"].column = max([boxes["gate"].column, *(box.column + 1 for box in mixtures)])
    last = max((box.column for box in boxes.values()), default=0)
    for box in boxes.values():
        if not box.before and box.kind == "dataset":
            users = [other.column for other in boxes.values() if box.key in other.before]
            box.column = max(min(users, default=last) - 1, 0)


def _with_lanes(boxes: Boxes) -> list[list[Box]]:
    """Cut links that jump columns into pieces through lanes; return the boxes by column."""
    for box in list(boxes.values()):
        for index, parent in enumerate(box.before):
            previous = boxes[parent]
            kind = "lane held" if _is_held_out(previous, box) else "lane"
            for column in range(previous.column + 1, box.column):
                key = f"{parent} to {box.key} in {column}"
                lane = Box(key, key, kind, documents=previous.documents, before=[previous.key], column=column)
                boxes[key] = previous = lane
            box.before[index] = previous.key
    count = max((box.column for box in boxes.values()), default=-1) + 1
    return [[box for box in boxes.values() if box.column == column] for column in range(count)]


def _is_held_out(parent: Box, box: Box) -> bool:
    """Say whether a link carries held-out documents to the gate or a search, or what a search finds."""
    judges = box.key == "gate" or box.kind == "search"
    held = judges and parent.kind in ("dataset", "source", "lane held")
    return box.kind == "lane held" or parent.kind == "search" or held


def _place(columns: list[list[Box]], boxes: Boxes) -> None:
    """Order each column by the middle of its neighbours, from both sides in turn; keep that with fewest crossings."""
    after: dict[str, list[Box]] = {}
    for box in boxes.values():
        for name in box.before:
            after.setdefault(name, []).append(box)
    tallest = max((_tall(column) for column in columns), default=0)
    for column in columns:
        _stack(column, tallest)
    best, fewest = [list(column) for column in columns], _crossings(boxes)
    for sweep in range(12):
        backwards = sweep % 2 == 0
        for column in reversed(columns) if backwards else columns:
            near = [after.get(box.key, []) if backwards else [boxes[name] for name in box.before] for box in column]
            middles = [_mean(found, box) for box, found in zip(column, near, strict=True)]
            column[:] = [column[index] for index in sorted(range(len(column)), key=middles.__getitem__)]
            _stack(column, tallest)
        if _crossings(boxes) < fewest:
            best, fewest = [list(column) for column in columns], _crossings(boxes)
    for column in best:
        _stack(column, tallest)
        _settle(column, boxes)


def _mean(near: Sequence[Box], box: Box) -> float:
    return sum(other.middle for other in near) / len(near) if near else box.middle


def _crossings(boxes: Boxes) -> int:
    """Count pairs of links between the same two columns that cross."""
    links = [(boxes[name].column, boxes[name].middle, box.middle) for box in boxes.values() for name in box.before]
    pairs = ((one, two) for index, one in enumerate(links) for two in links[:index])
    return sum(one[0] == two[0] and (one[1] - two[1]) * (one[2] - two[2]) < 0 for one, two in pairs)


def _tall(column: Sequence[Box]) -> float:
    return sum(box.height + GAP_Y for box in column)


def _stack(column: Sequence[Box], tallest: float) -> None:
    y = (tallest - _tall(column)) / 2
    for box in column:
        box.y = y
        y += box.height + GAP_Y


def _settle(column: Sequence[Box], boxes: Boxes) -> None:
    """Move each box towards the middle of what it comes from, as far as its neighbours leave room."""
    for index, box in enumerate(column):
        wanted = _mean([boxes[name] for name in box.before], box) - box.height / 2
        least = column[index - 1].y + column[index - 1].height + GAP_Y if index else 0.0
        most = column[index + 1].y - GAP_Y - box.height if index + 1 < len(column) else wanted
        if most >= least:
            box.y = max(min(wanted, most), least)


def _link(parent: Box, box: Box, *, most: int) -> Markup:
    """Draw a link; one that comes out of a lane first crosses the lane's width."""
    start = parent.x + BOX_WIDTH
    through = "" if parent.lines else f"M{parent.x:g} {parent.middle:g}H{start:g}"
    bend = (box.x - start) / 2
    first, last = f"{start + bend:g} {parent.middle:g}", f"{box.x - bend:g} {box.middle:g}"
    curve = f"M{start:g} {parent.middle:g}C{first} {last} {box.x:g} {box.middle:g}"
    held = _is_held_out(parent, box)
    width = THINNEST if held else THINNEST + (WIDEST - THINNEST) * math.sqrt(parent.documents / most)
    return Markup('<path class="link{}" stroke-width="{}" d="{}"/>').format(
        " held" if held else "", f"{width:.2f}", through + curve
    )


def _draw(box: Box) -> Markup:
    name = box.name
    if len(name) > MOST_NAME:  # cut in the middle, as names that begin alike may differ at the end
        name = f"{name[:LEAST_START]}\N{HORIZONTAL ELLIPSIS}{name[LEAST_START + 1 - MOST_NAME :]}"
    kinds = ("count", "lost" if box.lines[1].startswith(figures.MINUS) else "note")
    texts = [("name", name), *zip(kinds, box.lines, strict=True)]
    head = Markup('<rect class="box {}" x="{}" y="{}" width="{}" height="{}" rx="5"/>').format(
        box.kind, f"{box.x:g}", f"{box.y:g}", BOX_WIDTH, BOX_HEIGHT
    )
    body = head + Markup("").join(
        Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
            kind, f"{box.x + 11:g}", f"{box.y + 20 + 16 * index:g}", text
        )
        for index, (kind, text) in enumerate(texts)
    )
    body += Markup("<title>{}</title>").format(box.name) if name != box.name else ""
    return Markup('<a href="#{}">{}</a>').format(box.target, body) if box.target else Markup("<g>{}</g>").format(body)


def _spoken(boxes: Boxes) -> str:
    """Return the picture in words."""
    said = []
    for box in boxes.values():
        if box.lines:
            parents = _real_parents(boxes, box)
            origin = f" from {', '.join(parents)}" if parents else ""
            said.append(f"{box.name}: {', '.join(line for line in box.lines if line)}{origin}")
    return "Flow of documents. " + "; ".join(said)


def _real_parents(boxes: Boxes, box: Box) -> list[str]:
    found: list[str] = []
    for name in box.before:
        parent = boxes[name]
        found += [parent.name] if parent.lines else _real_parents(boxes, parent)
    return found
