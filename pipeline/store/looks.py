"""Every look that a gate took in this workspace, in order: the record by which a later look is paid for.

A look is entered before its certificate is computed. What was looked at is named by content: the weights and documents
of both mixtures and the documents held out, whatever a recipe calls them, and whatever seeds or number of tokens it
has. The same proxies on the same documents are the same look, so a run that is killed and taken up again, or an edit
that changes none of them, takes no second one. More seeds beside those that were looked at are a further look at one
experiment; proxies without all of the earlier ones are an experiment of their own, and count as a candidate more: odds
add up over the looks of one experiment, and not over experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pipeline.core.errors import DataError
from pipeline.core.files.record import read_record, write_record
from pipeline.store.workspace import Workspace

FILE = "looks.json"
UNKNOWN = (
    ""  # baseline of a look at what is gone; it counts against every baseline, so that none seems fresher than it is
)


@dataclass(frozen=True, slots=True)
class Look:
    """One certificate: what it judged, against what, on what, and what it said; "" before it is known."""

    certificate: str
    candidate: str
    baseline: str
    held_out: tuple[str, ...]  # contents
    proxies: tuple[str, ...]  # identities of both mixtures' proxies
    outcome: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two looks the same."""
        return self.candidate, self.baseline, self.held_out, self.proxies


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
    if known is not None or all(other.key != look.key for other in looks):
        _write(workspace, looks if any(other.key == look.key for other in looks) else [*looks, look])
    return standing_of(look, looks)


def looks_before(look: Look, looks: Sequence[Look]) -> Sequence[Look]:
    """Return what was looked at before a look, whether or not it was taken yet."""
    keys = [other.key for other in looks]
    return looks[: keys.index(look.key)] if look.key in keys else looks


def standing_of(look: Look, looks: Sequence[Look]) -> Standing:
    """Return where a look stands, or would stand, among all others."""
    before = looks_before(look, looks)
    alike = [other for other in before if other.baseline in (look.baseline, UNKNOWN)]
    mine = [other for other in alike if other.candidate == look.candidate]
    extended = [other for other in mine if set(other.proxies) <= set(look.proxies)]
    candidates = list(dict.fromkeys(other.candidate for other in alike))
    if look.candidate not in candidates:
        candidates.append(look.candidate)
    promoted = {other.candidate for other in alike if other.outcome == "promote"} - {look.candidate}
    held_out = set(look.held_out)
    return Standing(
        number=1 + len(extended),
        candidate_number=1 + candidates.index(look.candidate) + len(mine) - len(extended),
        promoted=len(promoted),
        openings=1 + sum(not other.held_out or not held_out.isdisjoint(other.held_out) for other in before),
    )


def note_outcome(workspace: Workspace, look: Look, outcome: str) -> None:
    """Record what was said of a look; later candidates against the same baseline are judged by how many were good."""
    looks = looks_in(workspace)
    told = [replace(other, outcome=outcome) if other.key == look.key else other for other in looks]
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
