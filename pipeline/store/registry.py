"""Certificates and mixtures in, numbered versions under a name out: who is promoted, by what evidence, and since when.

    <workspace>/registry/<name>/v00001.json   one version: mixture, certificate, reason; created once, never changed
    <workspace>/registry/<name>/current.json  which version counts, and every move so far; replaced atomically

A version is created with a hard link, which fails if the number is taken, so of two promoters none is lost; the pointer
and its history are one file, so a move and its record cannot come apart. A reader sees the old or the new pointer and
whole versions, whatever is killed when. A promotion that was cut off is finished by asking for it again; one that was
rolled back on purpose is not undone by asking again.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pipeline.core.errors import BusyError, DataError, GateError, RecipeError, ServiceError, did_you_mean
from pipeline.core.files.durable import sync_folder
from pipeline.core.files.record import read_record, write_record
from pipeline.core.identity import identity_of

if TYPE_CHECKING:
    from pipeline.store.workspace import Workspace

POINTER = "current.json"
LOCK = ".lock"
LOCK_SECONDS = 60.0  # a promotion takes milliseconds; longer means a stuck disk
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


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
    with _locked(workspace, name) as home:
        found = [version for version in versions(workspace, name) if version.key == key]
        version = found[0] if found else None
        if version is None:
            draft = Version(
                name=name, version=0, key=key, mixture=mixture, mixture_identity=mixture_identity, folder=folder,
                parents=dict(parents), verdict=verdict["outcome"], overridden=overridden, user=_user(),
                promoted_at=_now(), reason=str(override) if overridden else verdict["sentence"],
                certificate=dict(certificate) if certificate is not None else None,
            )  # fmt: skip
            version = _create(home, draft)
        pointer = _pointer(home)
        if version.version > pointer["newest"]:
            _move(home, pointer, action="promote", to=version.version, reason=version.reason)
        return Promotion(version=version, created=not found, is_current=_pointer(home)["version"] == version.version)


def rollback(workspace: Workspace, name: str, *, to: int | None = None, reason: str = "") -> Version:
    """Point `name` at version `to`, or at the one before the current; nothing is deleted, the move is recorded."""
    if current(workspace, name) is None:
        known = [path.parent.name for path in workspace.registry.glob(f"*/{POINTER}")]
        way_out = did_you_mean(name, known) or " Nothing was promoted yet."
        raise RecipeError(f"registry: '{name}' has no version to roll back from.{way_out}")
    with _locked(workspace, name) as home:
        pointer = _pointer(home)
        served = sorted({move["to"] for move in pointer["history"]})
        earlier = [number for number in served if number < pointer["version"]]
        known_versions = {version.version: version for version in versions(workspace, name)}
        if to is None and not earlier:
            raise RecipeError(f"registry: {name} is at version {pointer['version']}, and no earlier one was current.")
        target = earlier[-1] if to is None else to
        if target not in known_versions:
            listed = ", ".join(str(number) for number in known_versions)
            raise RecipeError(f"registry: {name} has no version {target}; it has {listed}. Choose one of these.")
        if target != pointer["version"]:
            _move(home, pointer, action="rollback", to=target, reason=reason)
        return known_versions[target]


def versions(workspace: Workspace, name: str) -> list[Version]:
    """Return every version of `name`, the oldest first; DataError if one was changed since it was made."""
    return [_read(path) for path in sorted(_home(workspace, name).glob("v*.json"))]


def current(workspace: Workspace, name: str) -> Version | None:
    """Return the version that counts, or None before the first promotion."""
    home = _home(workspace, name)
    number = _pointer(home)["version"]
    return _read(home / _file_name(number)) if number > 0 else None


def history(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """Return every move of the pointer, the oldest first: action, from, to, reason, user and time."""
    moves: list[dict[str, Any]] = _pointer(_home(workspace, name))["history"]
    return moves


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
    from eval.certificate import check_certificate  # needs scipy, which a reader of the registry does not

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


def _home(workspace: Workspace, name: str) -> Path:
    if NAME.fullmatch(name) is None:
        raise RecipeError(f"registry: '{name}' cannot be a name; use up to 64 letters, digits, '-' and '_'.")
    return workspace.registry / name


@contextmanager
def _locked(workspace: Workspace, name: str) -> Iterator[Path]:
    """Hold one name for writing and sweep up what a killed writer left; the kernel frees the lock of the dead."""
    home = _home(workspace, name)
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home / LOCK, timeout=LOCK_SECONDS):
            for litter in home.glob(".*"):
                if litter.name != LOCK:
                    litter.unlink(missing_ok=True)
            yield home
    except Timeout as error:
        raise BusyError(
            f"{home}: another process has been promoting for {LOCK_SECONDS:g} s. Try again later."
        ) from error


def _file_name(number: int) -> str:
    return f"v{number:05d}.json"


def _create(home: Path, draft: Version) -> Version:
    """Write the draft under the next free number, whole or not at all."""
    number = 1 + max((int(path.stem[1:]) for path in home.glob("v*.json")), default=0)
    while True:
        content = asdict(draft) | {"version": number}
        path = home / _file_name(number)
        whole = path.with_name(f".{path.name}.{os.getpid()}.new")
        write_record(whole, content)
        try:
            os.link(whole, path)
        except FileExistsError:  # only where the file system does not honour locks
            number += 1
            continue
        except OSError as error:
            raise ServiceError(
                f"{path}: cannot be linked ({error.strerror}). Put the workspace on a file system with hard links."
            ) from error
        finally:
            whole.unlink(missing_ok=True)
        sync_folder(home)
        return Version(**content)


def _read(path: Path) -> Version:
    try:
        return Version(**read_record(path))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: is not a version as it was written ({error}). Restore the file from a backup."
        ) from error


def _pointer(home: Path) -> dict[str, Any]:
    """Return the pointer: `version` that counts, `newest` ever promoted, `history` of moves; zeros before the first."""
    path = home / POINTER
    try:
        content = read_record(path)
        return {
            "version": int(content["version"]),
            "newest": int(content["newest"]),
            "history": list(content["history"]),
        }
    except FileNotFoundError:
        return {"version": 0, "newest": 0, "history": []}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: is not a pointer as it was written ({error}). Restore the file from a backup."
        ) from error


def _move(home: Path, pointer: Mapping[str, Any], *, action: str, to: int, reason: str) -> None:
    """Replace the pointer and its history in one step."""
    event = {"action": action, "from": pointer["version"], "to": to, "reason": reason, "user": _user(), "at": _now()}
    content = {"version": to, "newest": max(to, pointer["newest"]), "history": [*pointer["history"], event]}
    write_record(home / POINTER, content)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return "unknown"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
