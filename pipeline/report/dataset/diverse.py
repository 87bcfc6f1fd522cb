"""What the card of a making step tells of diversity -> bands with a dot for each group, groups over time, a table.

Expected in `details["diversity"]` (`synth/diversity/told.py` writes it): window, real_documents, numbers with their
bands, groups by axis with rows, weight, means and course; or not_watched, a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, Curve, dot, line, plot, rect, ruler, svg

EDGE = 3.0  # reaches from the middle of a band; what lies farther is drawn there
SPAN = Axis(-EDGE, EDGE)
HIGHEST = 8.0  # reaches in the plot over time; what lies farther is drawn there
A_WORD = ("loss_from_real", "loss_to_real")  # bits of one word
MOST_CURVES = 5  # as many hues as there are
MOST_LEFT = 4  # numbers out of their band, told of each group
MOST_FEW = 8  # names of groups that have too few rows


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One number: its picture, what it is of all rows, and its band."""

    name: str
    title: str
    judges: bool
    picture: Markup
    found: str
    band: str
    out: bool


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: rows, weight, share of new runs, and what left its band."""

    axis: str
    name: str
    rows: int
    weight: str
    new: str
    left: str
    measured: bool = True


@dataclass(frozen=True, slots=True)
class DiversityShown:
    """All of one step; `why` says why there is nothing else."""

    why: str
    stop: str = ""
    verdict: str = ""  # what became of the groups, in words
    few: str = ""  # groups that have too few rows
    size: str = ""
    numbers: tuple[NumberRow, ...] = ()
    ruler: Markup | None = None
    course: Markup | None = None
    curves: tuple[tuple[str, str], ...] = ()  # css class and name of each line
    groups: tuple[GroupRow, ...] = ()

    @property
    def measured(self) -> tuple[GroupRow, ...]:
        """The groups that had a window."""
        return tuple(row for row in self.groups if row.measured)


def diversity_in(details: Mapping[str, Any]) -> DiversityShown | None:
    """Return what a card tells of diversity, None where it tells nothing."""
    told = details.get("diversity")
    if not isinstance(told, Mapping):
        return None
    if "not_watched" in told:
        return DiversityShown(why=str(told["not_watched"]))
    window, everything = told["window"], told["groups"]["all"]["all"] if told["groups"] else {"windows": 0}
    if not everything["windows"]:
        return DiversityShown(why=f"too few rows, or too few words in them, for one window: {_needed(window)}")
    course, curves = _course(told["groups"])
    return DiversityShown(
        why="",
        stop=str(told["stop"]),
        verdict=_verdict(told),
        few=_few(told["groups"], window),
        size=(
            f"Windows of {figures.count(window['documents'])} rows cut after {told['most_words']} words, beside "
            f"{figures.counted(told['real_documents'], 'real document')}"
        ),
        numbers=tuple(
            _number(name, told)
            for name in sorted(told["numbers"], key=lambda name: not told["numbers"][name]["judges"])
        ),
        ruler=ruler(
            SPAN,
            marks=[(-1.0, "threshold"), (1.0, "threshold")],
            ticks=(-3, -2, -1, 0, 1, 2, 3),
            text="reaches of the band",
        ),
        course=course,
        curves=curves,
        groups=tuple(
            _group(axis, name, group, told["numbers"])
            for axis, groups in told["groups"].items()
            if axis != "all"
            for name, group in sorted(groups.items(), key=lambda each: (each[1]["weight"], -each[1]["rows"]))
        ),
    )


def _number(name: str, told: Mapping[str, Any]) -> NumberRow:
    number, everything = told["numbers"][name], told["groups"]["all"]["all"]
    bad, reach = number["bad"], max(number["high"] - number["real"], 1e-12)
    body = []
    if bad != "high":
        body.append(rect(0, 4, SPAN.percent(-1), 18, "shade"))
    if bad != "low":
        body.append(rect(SPAN.percent(1), 4, 100 - SPAN.percent(1), 18, "shade"))
    body.append(line(SPAN.percent(0), 0, SPAN.percent(0), 26, "zero"))
    spoken = []
    measured = [(axis, group, each) for axis, group, each in _measured(told["groups"]) if axis != "all"]
    for axis, group, each in measured or [("all", "all", everything)]:
        apart = (each["mean"][name] - number["real"]) / reach
        body.append(dot(SPAN.percent(apart), 13, 4, "missed" if each["stray"][name] > 1 else "value"))
        spoken.append(f"{axis} {group} {_value(each['mean'][name], number)}")
    low, high = (_value(max(number[end], 0.0), number, bare=number["bad"] == "both") for end in ("low", "high"))
    high += _unit(number) if number["bad"] == "both" else ""
    band = {"low": f"at least {low}", "high": f"at most {high}", "both": f"{low} to {high}"}[bad]
    return NumberRow(
        name=name.replace("_", " "),
        title=f"{number['title']}, bits a word" if name in A_WORD else number["title"],
        judges=number["judges"],
        picture=svg(f"{name}: band {band}; {'; '.join(spoken)}", height=26, body=body, kind="intervals"),
        found=_value(everything["mean"][name], number),
        band=band,
        out=everything["stray"][name] > 1,
    )


def _value(value: float, number: Mapping[str, Any], *, bare: bool = False) -> str:
    """Return a number with its unit: shares in percent, others in their own; `bare` without it."""
    percent = 100 if number["unit"] == "share" else 1
    return figures.number(percent * value, 3) + ("" if bare else _unit(number))


def _unit(number: Mapping[str, Any]) -> str:
    return {"share": " %", "bits": " bits"}.get(number["unit"], "")


def _needed(window: Mapping[str, Any]) -> str:
    return f"{figures.counted(window['documents'], 'row')} with {figures.counted(window['words'], 'word')} are needed"


def _verdict(told: Mapping[str, Any]) -> str:
    """Return in a sentence or two whether all rows lie in the band, and which groups were weighed down."""
    everything, groups = told["groups"]["all"]["all"], told["groups"]
    judging = [name for name, number in told["numbers"].items() if number["judges"]]
    out, most = sum(everything["stray"][name] > 1 for name in judging), len(judging)
    which = f"left the band on {out} of the" if out else "lie in the band on all"
    said = f"All rows together {which} {figures.counted(most, 'number')} that decide"
    axis = _first_axis(groups)
    if axis == "all":
        return f"{said}."
    measured = [each for each in groups[axis].values() if each["windows"]]
    if not measured:
        return f"{said}; no {axis} has enough rows to be weighed ({_needed(told['window'])})."
    lighter = sum(each["weight"] < 1 for each in measured)
    few = len(groups[axis]) - len(measured)
    return (
        f"{said}. Of {figures.counted(len(measured), axis)} with enough rows {lighter or 'none'} "
        f"{'was' if lighter < 2 else 'were'} weighed down{f'; {few} had too few rows' if few else ''}."
    )


def _first_axis(groups: Mapping[str, Any]) -> str:
    """Return the axis that steers what is asked for, else the first that is named, else that of all rows."""
    return "prompt" if "prompt" in groups else next((axis for axis in groups if axis != "all"), "all")


def _few(groups: Mapping[str, Any], window: Mapping[str, Any]) -> str:
    """Return in one sentence which groups have too few rows to be weighed."""
    few = [
        (name, each["rows"]) for axis, own in groups.items() if axis != "all"
        for name, each in own.items() if not each["windows"]
    ]  # fmt: skip
    if not few:
        return ""
    few.sort(key=lambda pair: -pair[1])
    named = ", ".join(f"{name} {figures.count(rows)}" for name, rows in few[:MOST_FEW])
    more = f" and {len(few) - MOST_FEW} more" if len(few) > MOST_FEW else ""
    return f"Too few rows for a window ({_needed(window)}): {named}{more}"


def _measured(groups: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [(axis, name, each) for axis, own in groups.items() for name, each in own.items() if each["windows"]]


def _course(groups: Mapping[str, Any]) -> tuple[Markup | None, tuple[tuple[str, str], ...]]:
    """Draw how far from their bands groups of the first axis were, window by window; those that lie farthest."""
    axis = _first_axis(groups)
    worst = sorted(
        ((name, each["course"]) for own, name, each in _measured(groups) if own == axis and len(each["course"]) > 1),
        key=lambda pair: -max(window["farthest"] for window in pair[1]),
    )[:MOST_CURVES]
    if not worst:
        return None, ()
    named = [(f"hue{place}", name, course) for place, (name, course) in enumerate(worst, 1)]
    most = max(window["rows"] for _, _, course in named for window in course)
    high = min(HIGHEST, max(2.0, *(window["farthest"] for _, _, course in named for window in course)))
    curves = [Curve([(w["rows"], w["farthest"]) for w in course], f"{hue} mean") for hue, _, course in named]
    bound = Curve([(0, 1), (most, 1)], "ideal")
    picture = plot(
        [bound, *curves], x=Axis(0, most), y=Axis(0, high), x_text=f"rows of a {axis}",
        y_text="reaches of the band", height=220,
        title=f"Farthest number of each {axis} by rows, in reaches of its band",
    )  # fmt: skip
    return picture, tuple((hue, name) for hue, name, _ in named)


def _group(axis: str, name: str, group: Mapping[str, Any], numbers: Mapping[str, Any]) -> GroupRow:
    if not group["windows"]:
        return GroupRow(axis, name, group["rows"], figures.NONE, figures.NONE, "too few rows for a window", False)
    out = sorted(((stray, key) for key, stray in group["stray"].items() if stray > 1), reverse=True)
    words = [
        f"{key.replace('_', ' ')} {figures.number(stray, 2)}{'' if numbers[key]['judges'] else ' (told only)'}"
        for stray, key in out
    ]
    more = f" and {len(words) - MOST_LEFT} more" if len(words) > MOST_LEFT else ""
    return GroupRow(
        axis, name, group["rows"], "retired" if not group["weight"] else figures.number(group["weight"], 3),
        f"{100 * group['novel_mean']:.0f} %", ", ".join(words[:MOST_LEFT]) + more or "nothing",
    )  # fmt: skip
