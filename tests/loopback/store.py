"""What a small Hub knows: repositories with commits, branches and pull requests, large files, collections, rights."""

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

LFS_SUFFIXES = (".bin", ".flac", ".npz", ".onnx", ".parquet", ".png", ".safetensors", ".tar", ".wav")
WRITERS = ("write", "contributor", "admin")


class HttpError(Exception):
    """An answer other than 200: status, message, and the code by which clients know the reason."""

    def __init__(self, status: int, message: str, code: str = "", **more):
        super().__init__(message)
        self.status, self.message, self.code, self.more = status, message, code, more


@dataclass(frozen=True)
class User:
    """Who a token belongs to: roles by organisation, and what the token itself allows."""

    name: str
    orgs: dict[str, str] = field(default_factory=dict)
    role: str = "write"

    def may_write(self, namespace: str) -> bool:
        return self.role == "write" and (namespace == self.name or self.orgs.get(namespace) in WRITERS)


@dataclass(frozen=True)
class File:
    """One file of a commit."""

    content: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n"
        return text.encode()

    @cached_property
    def oid(self) -> str:
        blob = self.pointer if self.lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest()

    def entry(self, path: str) -> dict:
        """What a tree listing says of it."""
        said = {"type": "file", "path": path, "size": len(self.content), "oid": self.oid}
        if self.lfs:
            said["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return said


@dataclass(frozen=True)
class Commit:
    """A snapshot of all files."""

    title: str
    files: dict[str, File]
    parent: "Commit | None" = None
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"))

    @cached_property
    def sha(self) -> str:
        listed = "\n".join(f"{path} {file.oid}" for path, file in sorted(self.files.items()))
        return hashlib.sha1(
            f"{self.parent and self.parent.sha} {self.title} {self.date}\n{listed}".encode()
        ).hexdigest()

    def history(self) -> "list[Commit]":
        return [self, *(self.parent.history() if self.parent else [])]


@dataclass
class Repo:
    """A model, data set or Space."""

    kind: str  # "models", "datasets", "spaces"
    id: str
    private: bool = False
    sdk: str | None = None
    refs: dict[str, Commit] = field(default_factory=dict)  # main, refs/tags/v1, refs/pr/1
    pull_requests: list[dict] = field(default_factory=list)

    def commit(self, revision: str) -> Commit:
        """The commit of a branch, tag, pull request or commit id."""
        for name in (revision, f"refs/tags/{revision}"):
            if name in self.refs:
                return self.refs[name]
        for head in self.refs.values():
            for commit in head.history():
                if commit.sha == revision:
                    return commit
        raise HttpError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def names(self, revision: str = "main") -> list[str]:
        return sorted(self.commit(revision).files)


class Store:
    """All repositories and what lies beside them, in memory.

    Attributes:
        tokens: who may do what.
        repos: by ("models", "org/name").
        collections: by slug.
        lfs: large files by SHA-256, whether a commit names them or not.
        parts: of large files that are being uploaded.
    """

    def __init__(self):
        self.tokens = {
            "hf_alice": User("alice", {"lab": "admin"}),
            "hf_bob": User("bob"),
            "hf_reader": User("alice", {"lab": "admin"}, role="read"),
        }
        self.repos: dict[tuple[str, str], Repo] = {}
        self.collections: dict[str, dict] = {}
        self.lfs: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.lock = threading.RLock()

    def create(self, kind: str, name: str, private: bool = False, sdk: str | None = None) -> Repo:
        """A new repository, with the commit that the Hub itself makes."""
        first = {".gitattributes": File("".join(f"*{x} filter=lfs\n" for x in LFS_SUFFIXES).encode())}
        if kind == "spaces":
            first["README.md"] = File(f"---\ntitle: {name}\nsdk: {sdk}\n---\n".encode())
        repo = Repo(kind, name, private, sdk, {"main": Commit("initial commit", first)})
        self.repos[kind, name] = repo
        return repo

    def put(self, kind: str, name: str, files: dict[str, bytes], revision: str = "main") -> Repo:
        """Commit files without a client, making the repository where there is none."""
        repo = self.repos.get((kind, name)) or self.create(kind, name)
        head = repo.commit(revision)
        new = {path: File(content, path.endswith(LFS_SUFFIXES)) for path, content in files.items()}
        repo.refs[revision] = Commit("put", {**head.files, **new}, head)
        return repo
