"""Every look that a gate took in this workspace, in order: the record by which a later look is paid for.

A look is entered before its certificate is computed, and by the certificate's identity, so a run that is killed and
taken up again, or a certificate that is built anew, takes no second look. What was looked at is named by content: the
weights and documents of both mixtures and the documents held out, whatever a recipe calls them, and whatever number of
tokens or seeds its proxies have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pipeline.core.errors import DataError
from pipeline.core.files.record import read_record, write_record
from pipeline.store.workspace import Workspace

FILE = "looks.json"


@dataclass(frozen=True, slots=True)
class Look:
    """One certificate: what it judged, against what, on what, and what it said; "" before it is known."""

    certificate: str
    candidate: str
    baseline: str
    held_out: tuple[str, ...]
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a look stands among all others; see eval.sequential.Looks."""

    number: int
    candidate_number: int
    promoted: int
    openings: int


def enter(workspace: Workspace, look: Look) -> Standing:
    """Record a look, unless it is there, and return where it stands."""
    looks = looks_in(workspace)
    if all(other.certificate != look.certificate for other in looks):
        looks = [*looks, look]
        _write(workspace, looks)
    before = looks[: [other.certificate for other in looks].index(look.certificate)]
    alike = [other for other in before if other.baseline == look.baseline]
    candidates = list(dict.fromkeys(other.candidate for other in alike))
    if look.candidate not in candidates:
        candidates.append(look.candidate)
    promoted = {other.candidate for other in alike if other.outcome == "promote"} - {look.candidate}
    held_out = set(look.held_out)
    return Standing(
        number=1 + sum(other.candidate == look.candidate for other in alike),
        candidate_number=1 + candidates.index(look.candidate),
        promoted=len(promoted),
        openings=1 + sum(not held_out.isdisjoint(other.held_out) for other in before),
    )


def note_outcome(workspace: Workspace, certificate: str, outcome: str) -> None:
    """Record what a certificate said; later candidates against the same baseline are judged by how many were good."""
    looks = looks_in(workspace)
    told = [replace(look, outcome=outcome) if look.certificate == certificate else look for look in looks]
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
            "without it every look counts as the first."
        ) from error
    return [Look(**{**entry, "held_out": tuple(entry["held_out"])}) for entry in content["looks"]]


def _write(workspace: Workspace, looks: Sequence[Look]) -> None:
    write_record(workspace.root / FILE, {"looks": [asdict(look) for look in looks]})
