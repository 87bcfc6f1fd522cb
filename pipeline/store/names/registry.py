"""Certificates and mixtures in, numbered versions under a name out: who is promoted, by what evidence, and since when.

    <workspace>/registry/<name>/  v00001.json: mixture, certificate, reason ...  current.json  (`names/versions.py`)

A promotion that was cut off is finished by asking for it again; one that was rolled back on purpose is not undone by
asking again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pipeline.core.errors import BusyError, DataError, GateError, RecipeError, did_you_mean
from pipeline.core.files.record import read_record, record_text
from pipeline.core.identity import identity_of
from pipeline.store.names.versions import Versions, homes, now, user

if TYPE_CHECKING:
    from pipeline.store.workspace import Workspace

LOCK = ".lock"
LOCK_SECONDS = 60.0  # a promotion takes milliseconds; longer means a stuck disk


@dataclass(frozen=True, slots=True)
class Version:
    """One promoted mixture with its evidence. `verdict` is the certificate's outcome, or `none` without one."""

    name: str
    version: int
    key: str  # hash of mixture and certificate: the same twice is one version
    mixture: str
    mixture_identity: str
    folder: str  # of the mixture, inside the workspace
    parents: Mapping[str, str]  # dataset -> identity
    verdict: str
    reason: str  # the verdict's sentence, or why it was overridden
    overridden: bool
    user: str
    promoted_at: str  # UTC, ISO 8601
    certificate: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Promotion:
    """What `promote` did: the version that holds the mixture, whether it is new, and whether it is the current one."""

    version: Version
    created: bool
    is_current: bool


def promote(
    workspace: Workspace,
    name: str,
    *,
    mixture: str,
    mixture_identity: str,
    folder: str,
    parents: Mapping[str, str],
    certificate: Mapping[str, Any] | None,
    override: str | None = None,
) -> Promotion:
    """Make a mixture the current version of `name`.

    GateError unless an unchanged certificate about this very mixture says promote, or `override` gives the reason why
    it counts all the same. The same mixture and certificate again make no new version.
    """
    certificate_id = _admit(
        name, mixture=mixture, identity=mixture_identity, certificate=certificate, override=override
    )
    verdict = certificate["verdict"] if certificate is not None else {"outcome": "none", "sentence": ""}
    overridden = verdict["outcome"] != "promote"
    key = identity_of([mixture_identity, certificate_id])
    with _locked(workspace, name) as held:
        found = [version for version in versions(workspace, name) if version.key == key]
        version = found[0] if found else None
        if version is None:
            draft = Version(
                name=name, version=0, key=key, mixture=mixture, mixture_identity=mixture_identity, folder=folder,
                parents=dict(parents), verdict=verdict["outcome"], overridden=overridden, user=user(),
                promoted_at=now(), reason=str(override) if overridden else verdict["sentence"],
                certificate=dict(certificate) if certificate is not None else None,
            )  # fmt: skip
            number = held.create(lambda number: record_text(asdict(draft) | {"version": number}))
            version = replace(draft, version=number)
        pointer = held.pointer()
        if version.version > max(pointer.served, default=0):
            held.move(to=version.version, action="promote", reason=version.reason)
        return Promotion(version=version, created=not found, is_current=held.pointer().version == version.version)


def rollback(workspace: Workspace, name: str, *, to: int | None = None, reason: str = "") -> Version:
    """Point `name` at version `to`, or at the one before the current; nothing is deleted, the move is recorded."""
    if current(workspace, name) is None:
        known = [other.home.name for other in homes(workspace.registry)]
        way_out = did_you_mean(name, known) or " Nothing was promoted yet."
        raise RecipeError(f"registry: '{name}' has no version to roll back from.{way_out}")
    with _locked(workspace, name) as held:
        pointer = held.pointer()
        earlier = [number for number in pointer.served if number < pointer.version]
        known_versions = {version.version: version for version in versions(workspace, name)}
        if to is None and not earlier:
            raise RecipeError(f"registry: {name} is at version {pointer.version}, and no earlier one was current.")
        target = earlier[-1] if to is None else to
        if target not in known_versions:
            listed = ", ".join(str(number) for number in known_versions)
            raise RecipeError(f"registry: {name} has no version {target}; it has {listed}. Choose one of these.")
        if target != pointer.version:
            held.move(to=target, action="rollback", reason=reason)
        return known_versions[target]


def versions(workspace: Workspace, name: str) -> list[Version]:
    """Return every version of `name`, the oldest first; DataError if one was changed since it was made."""
    return [_read(path) for path in _versions(workspace, name).files()]


def current(workspace: Workspace, name: str) -> Version | None:
    """Return the version that counts, or None before the first promotion."""
    known = _versions(workspace, name)
    number = known.pointer().version
    return _read(known.file(number)) if number > 0 else None


def _admit(
    name: str, *, mixture: str, identity: str, certificate: Mapping[str, Any] | None, override: str | None
) -> str:
    """Return the certificate's id ("" without one) if the mixture may enter; else raise GateError."""
    if override is not None and not override.strip():
        raise RecipeError("--override is empty; it must say why the gate does not count. Give a reason.")
    way_out = 'Run the recipe\'s gate, or record why not: --override "reason".'
    if certificate is None:
        if override is None:
            raise GateError(
                f"registry {name}: mixture '{mixture}' has no certificate, and only one that says promote "
                f"admits it. {way_out}"
            )
        return ""
    from eval.verdict.certificate import check_certificate  # needs scipy, which a reader of the registry does not

    found = check_certificate(certificate)
    about = certificate["candidate"]
    if about["identity"] != identity:
        raise GateError(
            f"registry {name}: the certificate is about mixture '{about['name']}' {about['identity'][:12]}, not about "
            f"'{mixture}' {identity[:12]}; evidence counts only for what was measured. {way_out}"
        )
    if certificate["verdict"]["outcome"] != "promote" and override is None:
        raise GateError(
            f"registry {name}: the gate did not promote '{mixture}'. {_told(certificate['verdict'])} {way_out}"
        )
    return found


def _told(verdict: Mapping[str, Any]) -> str:
    return f"{verdict['sentence']} {verdict['next_step']}".rstrip()


def _versions(workspace: Workspace, name: str) -> Versions:
    return Versions.named(workspace.registry, name, place="registry")


@contextmanager
def _locked(workspace: Workspace, name: str) -> Iterator[Versions]:
    """Hold one name for writing and sweep up what a killed writer left; the kernel frees the lock of the dead."""
    held = _versions(workspace, name)
    held.home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(held.home / LOCK, timeout=LOCK_SECONDS):
            held.sweep()
            yield held
    except Timeout as error:
        raise BusyError(
            f"{held.home}: another process has been promoting for {LOCK_SECONDS:g} s. Try again later."
        ) from error


def _read(path: Path) -> Version:
    try:
        return Version(**read_record(path))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: is not a version as it was written ({error}). Restore the file from a backup."
        ) from error
