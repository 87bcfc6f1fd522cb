"""Every look that a gate took in this workspace, in order: the record by which a later look is paid for.

A look is entered before its certificate is computed. What was looked at is named by content: the weights and documents
of both mixtures and the documents held out, whatever a recipe calls them, and whatever seeds or number of tokens it
has. The same proxies judged by the same are the same look, so a run that is killed and taken up again, or an edit that
changes neither, takes no second one. More seeds beside those that were looked at are a further look at one experiment.
Proxies without all of the earlier ones are an experiment of their own, and so are the same ones judged by another part
of the documents or at another learning rate: odds add up over the looks of one experiment, and not over experiments,
so each experiment against one baseline has a number, and its part of the error, to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pipeline.core.errors import DataError
from pipeline.core.files.record import read_record, write_record
from pipeline.store.workspace import Workspace

FILE = "looks.json"
UNKNOWN = ""  # baseline of a look at what is gone: it counts against every one, so that none seems fresher than it is


@dataclass(frozen=True, slots=True)
class Look:
    """One certificate: what it judged, against what, on what, and what it said; "" before it is known."""

    certificate: str
    candidate: str
    baseline: str
    held_out: tuple[str, ...]  # contents
    proxies: tuple[str, ...]  # identities of both mixtures' proxies
    outcome: str = ""
    judged: str = ""  # what of the held-out text, and at which learning rate; "" where that is not known any more

    def is_same_as(self, other: Look) -> bool:
        """Say whether two looks are one."""
        alike = all(
            getattr(self, name) == getattr(other, name) for name in ("candidate", "baseline", "held_out", "proxies")
        )
        known = self.judged and other.judged
        return alike and (self.judged == other.judged if known else self.certificate == other.certificate)

    def extends(self, other: Look) -> bool:
        """Say whether this is a further look at the experiment of another one."""
        judged_alike = self.judged == other.judged or not (self.judged and other.judged)
        return self.candidate == other.candidate and judged_alike and set(other.proxies) <= set(self.proxies)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a look stands among all others; see eval.verdict.sequential.Looks."""

    number: int
    candidate_number: int
    promoted: int
    openings: int


def has_record(workspace: Workspace) -> bool:
    """Say whether looks were recorded here; without a record they are read out of certificates."""
    return (workspace.root / FILE).exists()


def enter(workspace: Workspace, look: Look, *, known: Sequence[Look] | None = None) -> Standing:
    """Record a look, unless it is there, and return where it stands; `known` are all others where none is recorded."""
    looks = looks_in(workspace) if known is None else list(known)
    is_new = not any(other.is_same_as(look) for other in looks)
    if known is not None or is_new:
        _write(workspace, [*looks, look] if is_new else looks)
    return standing_of(look, looks)


def looks_before(look: Look, looks: Sequence[Look]) -> Sequence[Look]:
    """Return what was looked at before a look, whether or not it was taken yet."""
    taken = next((number for number, other in enumerate(looks) if other.is_same_as(look)), len(looks))
    return looks[:taken]


def standing_of(look: Look, looks: Sequence[Look]) -> Standing:
    """Return where a look stands, or would stand, among all others."""
    before = looks_before(look, looks)
    alike = [other for other in before if other.baseline in (look.baseline, UNKNOWN)]
    experiments: list[list[Look]] = []
    for each in [*alike, look]:
        own = next((one for one in experiments if any(each.extends(other) for other in one)), None)
        if own is None:
            experiments.append([each])
        else:
            own.append(each)
    promoted = {other.candidate for other in alike if other.outcome == "promote"} - {look.candidate}
    held_out = set(look.held_out)
    return Standing(
        number=1 + sum(look.extends(other) for other in alike),
        candidate_number=1 + next(number for number, one in enumerate(experiments) if one[-1] is look),
        promoted=len(promoted),
        openings=1 + sum(not other.held_out or not held_out.isdisjoint(other.held_out) for other in before),
    )


def note_outcome(workspace: Workspace, look: Look, outcome: str) -> None:
    """Record what was said of a look; later candidates against the same baseline are judged by how many were good."""
    looks = looks_in(workspace)
    told = [replace(other, outcome=outcome) if other.is_same_as(look) else other for other in looks]
    if told != looks:
        _write(workspace, told)


def looks_in(workspace: Workspace) -> list[Look]:
    """Return every look, the oldest first; DataError if the record was edited or damaged."""
    path = workspace.root / FILE
    try:
        content = read_record(path)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); it says what a gate looked at before. Take it from a backup; "
            "without it looks are read out of the certificates that are still there."
        ) from error
    tuples = ("held_out", "proxies")
    return [Look(**entry | {key: tuple(entry[key]) for key in tuples}) for entry in content["looks"]]


def _write(workspace: Workspace, looks: Sequence[Look]) -> None:
    write_record(workspace.root / FILE, {"looks": [asdict(look) for look in looks]})
