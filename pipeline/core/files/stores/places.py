"""The one place that knows where bytes live: a URL -> named objects, read whole or in ranges, and written whole.

Everything else works on local paths; `stored.py` and the sources turn a URL into those. An object is seen whole or not
at all: small ones in one request, large ones as parts that the store puts together in the end. `create` writes only
where nothing is (`If-None-Match: *`), which is all that writers need to keep out of each other's way. A store that
slows down (503), drops connections or answers 500 is asked again, with longer and longer breaks, for about a minute.
Keys of an account never stand in a message: what a store said is told by its code alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pipeline.core.errors import DataError, RecipeError, ServiceError, TamisError, nearest_names
from pipeline.core.files.writing.durable import write_atomically

PROTOCOLS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hf": "", "https": "https", "http": "https"}
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "https": "aiohttp"}
AT_ONCE = 8  # requests on their way
RANGE_BYTES = 8 << 20  # of one request; so a transfer holds 64 MiB at most
ATTEMPTS = 8  # of a request; the breaks between them double up to 20 s, and jitter
_URL = re.compile(r"\b(\w+)://[^\s'\"]*[^\s'\"\]}),]")  # in YAML: what closes a list or mapping is not of it
_QUERY = re.compile(r"\?[\w.~%-]+=")  # a name with a value; in a glob, `?` stands for a letter
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True)
class Item:
    """One object. `modified` is the store's own clock, seconds since 1970; `tag` changes with the content."""

    name: str
    size: int
    tag: str
    modified: float


def is_url(text: str | Path) -> bool:
    """Say whether a path of a recipe or a flag is a URL."""
    return "://" in str(text)


def shown_url(url: str) -> str:
    """Return a URL as messages and cards may have it: without the name, password and query that may stand in it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "..." if parts.query else "", ""))


def without_secrets(text: str) -> str:
    """Return a text such as a recipe's, its URLs as `shown_url` has them; a `?` of an `s3://` glob is no query."""

    def shown(found: re.Match[str]) -> str:
        may_hold = found[1] in ("http", "https") or "@" in found[0] or _QUERY.search(found[0])
        return shown_url(found[0]) if may_hold else found[0]

    return _URL.sub(shown, text)


def endpoint_of(url: str) -> str:
    """Return the address that an S3 URL is looked up at, where the environment names one."""
    if PROTOCOLS.get(urlsplit(url).scheme) != "s3":
        return ""
    return next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), "")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a store. Names are relative to it, with slashes; methods may be called from any thread."""

    url: str  # without a slash at the end

    @classmethod
    def at(cls, url: str) -> Place:
        """Return the folder that a URL names; RecipeError if nothing here can read it."""
        system_of(url)
        return cls(url.rstrip("/"))

    def __str__(self) -> str:
        return shown_url(self.url)

    def full(self, name: str) -> str:
        return f"{self.url}/{name}" if name else self.url

    def items(self, under: str = "") -> dict[str, Item]:
        """Return all objects below a folder by name; a store may leave out what was written a moment ago."""
        with explained(self.full(under)):
            system = system_of(self.url)
            start = system._strip_protocol(self.url).rstrip("/") + "/"
            try:
                found = system.find(self.full(under), detail=True)
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return {}
        named = (item_of(name[len(start) :], told) for name, told in found.items() if name.startswith(start))
        return {item.name: item for item in named if item.name}

    def item(self, name: str) -> Item | None:
        """Return what is known of one object, None where there is none; never out of date."""
        return item_at(self.full(name), name=name)

    def read(self, name: str) -> bytes:
        """Return an object's bytes; MissingError where there is none."""
        with explained(self.full(name)):
            found: bytes = system_of(self.url).cat_file(self.full(name))
            return found

    def create(self, name: str, content: bytes) -> bool:
        """Write an object where none is; return whether this did. After a lost answer, what is there may be ours."""
        return self._put(name, content, mode="create")

    def write(self, name: str, content: bytes) -> None:
        """Write an object over whatever is there."""
        self._put(name, content)

    def replace(self, name: str, content: bytes, *, tag: str) -> bool:
        """Write over the object that has this tag; return False where there is another by now."""
        return self._put(name, content, IfMatch=tag)

    def _put(self, name: str, content: bytes, **how: Any) -> bool:
        try:
            with explained(self.full(name)):
                system_of(self.url).pipe_file(self.full(name), content, **how)
        except OccupiedError:
            return False
        return True

    def upload(self, path: Path, name: str) -> None:
        """Write a file as an object, the same bytes whoever does it; large ones in parts."""
        with explained(self.full(name)):
            system_of(self.url).put_file(str(path), self.full(name))

    def copy(self, source: str, name: str) -> None:
        """Give an object of this folder a second name, within the store; MissingError where there is none."""
        with explained(self.full(source)):
            system_of(self.url).cp_file(self.full(source), self.full(name))

    def download(self, name: str, path: Path, *, size: int) -> None:
        """Write an object of `size` bytes to a file, atomically, by ranges that are read at the same time."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: [file.write(piece) for piece in self.pieces(name, size=size)])

    def pieces(self, name: str, *, size: int) -> Iterator[bytes]:
        """Yield an object of `size` bytes in order; at most AT_ONCE ranges of it are held."""
        return pieces_at(self.full(name), size=size)

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        with explained(self.url):
            for name in names:
                try:
                    system_of(self.url).rm_file(self.full(name))
                except FileNotFoundError:
                    continue

    def uploads(self) -> list[tuple[str, str]]:
        """Return (name, id) of uploads in parts that were begun below here and not ended: they cost money unseen."""
        system = system_of(self.url)
        if not hasattr(system, "list_multipart_uploads"):
            return []
        bucket, prefix, _ = system.split_path(self.url)
        with explained(self.url):
            found = system.list_multipart_uploads(bucket)
        start = f"{prefix}/" if prefix else ""
        return [(one["Key"][len(start) :], one["UploadId"]) for one in found if one["Key"].startswith(start)]

    def abort(self, name: str, upload: str) -> None:
        """End an upload in parts without an object."""
        system = system_of(self.url)
        bucket, key, _ = system.split_path(self.full(name))
        try:
            with explained(self.full(name)):
                system.abort_mpu(bucket, key, upload)
        except MissingError:
            return


class MissingError(DataError):
    """A store holds no such object."""


class OccupiedError(ServiceError):
    """A store holds an object where there must be none, or another than there must be."""


def item_at(url: str, *, name: str) -> Item | None:
    """Return what is known of the object at a URL, None where there is none; never out of date."""
    try:
        with explained(url):
            return item_of(name, system_of(url).info(url))
    except MissingError:
        return None


def pieces_at(url: str, *, size: int) -> Iterator[bytes]:
    """Yield the `size` bytes of the object at a URL in order; at most AT_ONCE ranges of it are held."""
    system = system_of(url)
    for window in range(0, size, AT_ONCE * RANGE_BYTES):
        starts = list(range(window, min(size, window + AT_ONCE * RANGE_BYTES), RANGE_BYTES))
        ends = [min(start + RANGE_BYTES, size) for start in starts]
        with explained(url):
            found = system.cat_ranges([url] * len(starts), starts, ends, on_error="raise")
        for start, end, piece in zip(starts, ends, found, strict=True):
            if len(piece) != end - start:
                raise ServiceError(
                    f"{shown_url(url)}: gave {len(piece):,} bytes of {end - start:,} from {start:,} on. It was "
                    "replaced or cut meanwhile; run again."
                )
            yield piece


def each(work: Callable[[Any], object], things: Sequence[Any]) -> None:
    """Call `work` with each of some things, several at the same time; the first failure is raised."""
    if len(things) < 2:
        for thing in things:
            work(thing)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(work, things):
            pass


def system_of(url: str) -> Any:
    """Return the file system that reads a URL; RecipeError where there is none or its package is missing."""
    return _system(urlsplit(url).scheme, endpoint_of(url), os.getpid())


@lru_cache(maxsize=16)
def _system(scheme: str, endpoint: str, _: int) -> Any:
    if scheme not in PROTOCOLS:
        raise RecipeError(
            f"{scheme}://: is no kind of URL that can be read here; it must begin with s3://, gs://, hf:// or "
            f"https://. Did you mean {nearest_names(scheme, PROTOCOLS)}?"
        )
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False}
    if PROTOCOLS[scheme] == "s3":
        config = {"retries": {"mode": "standard", "total_max_attempts": ATTEMPTS}, "connect_timeout": 20}
        options |= {"config_kwargs": config, "max_concurrency": AT_ONCE}
        options |= {"endpoint_url": endpoint} if endpoint else {}
    package = PACKAGES.get(PROTOCOLS[scheme], "huggingface_hub")
    extra = {"s3fs": "s3", "gcsfs": "gs"}.get(package)
    try:
        system = fsspec.filesystem(scheme, **options)
    except ImportError as error:
        way_out = f"pip install 'tamis[{extra}]'" if extra else f"pip install {package}"
        raise RecipeError(f"{scheme}://: needs the package {package}, which is not installed. {way_out}.") from error
    if PROTOCOLS[scheme] == "s3":
        system.retries = 2  # on top of botocore's own, for an answer that cannot be read
    return system


def item_of(name: str, told: Mapping[str, Any]) -> Item:
    """Return what a file system says of a file, in one form."""
    modified = told.get("LastModified") or told.get("updated") or told.get("mtime") or 0.0
    if isinstance(modified, str):
        from datetime import datetime

        modified = datetime.fromisoformat(modified)
    seconds = float(modified) if isinstance(modified, (int, float)) else float(modified.timestamp())
    tag = next((str(told[key]) for key in ("ETag", "etag", "blob_id", "generation") if told.get(key)), "")
    return Item(name=name, size=int(told.get("size") or 0), tag=tag, modified=seconds)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what a store and its library raise into ours, which name the URL, the rule and the way out."""
    try:
        yield
    except TamisError:
        raise
    except Exception as error:  # each library has exceptions of its own, of no common class
        told = _translated(shown_url(url), error)
        if told is None:
            raise
        raise told from None  # what the library says may quote a signed request


def _translated(url: str, error: Exception) -> TamisError | None:
    code, kind = _code(error), type(error).__name__
    what = code or kind
    parts = urlsplit(url)
    if kind in (
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "TokenRetrievalError",
        "NoAuthTokenError",
    ):
        return RecipeError(f"{url}: no credentials were found ({kind}). {_credentials(parts.scheme)}")
    if isinstance(error, FileExistsError) or code in ("PreconditionFailed", "412"):
        return OccupiedError(f"{url}: is there already, or was replaced by somebody else ({what}).")
    if code == "NoSuchBucket":
        return RecipeError(f"{url}: there is no bucket {parts.netloc!r}. Correct the URL, or make the bucket first.")
    if isinstance(error, PermissionError) or code in ("401", "403", "AccessDenied"):
        return RecipeError(f"{url}: the store refuses this account ({what}). {_credentials(parts.scheme)}")
    if isinstance(error, FileNotFoundError) or code in ("404", "NoSuchKey"):
        return MissingError(f"{url}: there is no such object. Correct the URL, or take it out.")
    if kind == "LocalTokenNotFoundError":
        return RecipeError(f"{url}: no token was found. {_credentials(parts.scheme)}")
    if isinstance(error, (OSError, TimeoutError)) or kind in NETWORK or code:
        return ServiceError(
            f"{url}: the store cannot be used ({what}), and asking again did not help. Look at the network and at "
            "the store, then run again; nothing half-written can be seen."
        )
    return None


NETWORK = {
    "EndpointConnectionError", "ConnectionClosedError", "ConnectTimeoutError", "ReadTimeoutError", "HTTPClientError",
    "ResponseParserError", "IncompleteRead", "FSTimeoutError", "ClientError", "ClientPayloadError",
    "ClientConnectorError", "ClientResponseError", "ServerDisconnectedError", "HttpError", "ProxyConnectionError",
    "SSLError", "ResponseStreamingError",
}  # fmt: skip


def _credentials(scheme: str) -> str:
    kind = PROTOCOLS.get(scheme)
    if kind == "s3":
        return (
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to an account that may use it; and "
            "AWS_ENDPOINT_URL where it is not Amazon's."
        )
    if kind == "gs":
        return "Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login."
    if scheme == "hf":
        return "Set HF_TOKEN to a token that may read it."
    return "Use a URL that may be read."


def _code(error: BaseException) -> str:
    """Return the code by which a store refused, such as NoSuchBucket; "" where it gave none."""
    for each_error in (error, error.__cause__):
        response = getattr(each_error, "response", None)
        if isinstance(response, Mapping):
            return str(response.get("Error", {}).get("Code", ""))
        status = getattr(each_error, "status", None)
        if isinstance(status, int):
            return str(status)
    return ""
