"""A folder -> one commit on the Hub with the differences; each error is one sentence."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from rich.filesize import decimal
from rich.table import Table

from wav2small.hub import error_chain
from wav2small.models.errors import Wav2SmallError

WRITERS = ("admin", "write", "contributor")
MAIN = "main"


@dataclass(frozen=True)
class Target:
    """Where on the Hub.

    Attributes:
        id: "org/name".
        kind: of repository.
        revision: branch; created if it is missing.
        private: whether a new repository is private.
        pull_request: propose the commit as a pull request.
        sdk: of a Space.
    """

    id: str
    kind: Literal["model", "dataset", "space"] = "model"
    revision: str = MAIN
    private: bool = False
    pull_request: bool = False
    sdk: str | None = None


@dataclass(frozen=True)
class Change:
    """What a commit does to one file of `size` bytes (of the new content, or of what is removed)."""

    path: str
    size: int
    kind: Literal["new", "changed", "unchanged", "removed", "not compared"]


@dataclass(frozen=True)
class Plan:
    """What publishing changes, and its result.

    Attributes:
        target: where on the Hub.
        changes: file by file.
        exists: whether the repository exists.
        head: latest commit of the branch; `None` if there is no such branch.
        licence: on the card.
        url: of the commit or pull request; `None` if nothing was sent.
        note: further information for the user.
        compared: whether the files of the Hub are known.
    """

    target: Target
    changes: list[Change]
    exists: bool
    head: str | None
    licence: str | None = None
    url: str | None = None
    note: str = ""
    compared: bool = True

    @property
    def unchanged(self) -> bool:
        """Whether the Hub holds the same files already."""
        return self.head is not None and all(change.kind == "unchanged" for change in self.changes)

    def title(self) -> str:
        """Repository, licence, and what is new."""
        if not self.compared:
            return f"{self.target.id} ({self.target.kind}), licence {self.licence}"
        new = "" if self.exists else f", new, {'private' if self.target.private else 'public'}"
        branch = "" if self.target.revision == MAIN else f", branch {self.target.revision}"
        branch += ", new" if self.exists and self.head is None else ""
        return f"{self.target.id} ({self.target.kind}{new}{branch}), licence {self.licence}"

    def table(self) -> Table:
        """The files as a table."""
        table = Table("file")
        table.add_column("size", justify="right")
        table.add_column("on the Hub")
        for change in self.changes:
            table.add_row(change.path, decimal(change.size), change.kind)
        return table

    def __str__(self) -> str:
        if not self.compared:
            size = decimal(sum(change.size for change in self.changes))
            return (
                f"all checks of {len(self.changes)} files ({size}) passed; the Hub cannot be reached, so they were not "
                f"compared with {self.target.id}"
            )
        size = decimal(sum(change.size for change in self.changes if change.kind in ("new", "changed")))
        counts = {kind: sum(change.kind == kind for change in self.changes) for kind in ("new", "changed", "removed")}
        told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "a new branch"
        if self.url:
            return f"{'proposed' if self.target.pull_request else 'published'} {told} ({size}): {self.url}"
        if self.unchanged:
            return f"nothing to do: {self.target.id} holds these files already"
        return f"this would {'propose' if self.target.pull_request else 'publish'} {told} ({size}) in one commit"


class UnreachableError(Wav2SmallError):
    """The Hub gave no response, or failed itself."""


def log_in(target: Target) -> HfApi:
    """Open the Hub with a token that may write to a repository.

    Raises:
        Wav2SmallError: if there is no token, the Hub does not accept it, or it may not write there.
    """
    if not get_token():
        raise Wav2SmallError("publishing needs a token of the Hub: log in with `hf auth login`, or set HF_TOKEN")
    api = HfApi()
    with hub_errors(target):
        user = api.whoami()
    orgs = {org["name"]: org.get("roleInOrg") or WRITERS[0] for org in user.get("orgs", [])}
    namespace = target.id.split("/")[0]
    if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise Wav2SmallError(
            f"the token of {user['name']} may only read: log in with one that may write (`hf auth login`)"
        )
    if not target.pull_request and namespace != user["name"] and orgs.get(namespace) not in WRITERS:
        raise Wav2SmallError(
            f"{user['name']} may not write to {namespace}: ask for access, log in as another, or choose another name"
        )
    return api


def plan_commit(api: HfApi, target: Target, folder: Path, is_ours: Callable[[str], bool]) -> Plan:
    """Compare a folder with the Hub; a public repository needs no token.

    Args:
        api: the Hub.
        target: where on it.
        folder: all of its files.
        is_ours: whether a file that is only on the Hub is removed, by its path; other files stay.

    Raises:
        Wav2SmallError: if the Hub cannot be reached, or the repository is public and should be private.
    """
    there: dict[str, RepoFile] = {}
    exists, head = True, None
    with hub_errors(target):
        try:
            info = api.repo_info(target.id, repo_type=target.kind)
            if target.private and not info.private:
                raise Wav2SmallError(f"{target.id} exists and is public: leave out --private, or choose another name")
            try:
                info = api.repo_info(target.id, repo_type=target.kind, revision=target.revision)
                head = info.sha
            except RevisionNotFoundError:
                pass  # the branch starts from main
            there = tree(api, target, info.sha)
        except RepositoryNotFoundError:
            exists = False
    if target.pull_request and not exists:
        raise Wav2SmallError(
            f"{target.id} is not on the Hub: a pull request needs an existing repository, leave out --pr"
        )
    return Plan(target, changes(folder, there, is_ours), exists, head)


def plan_without_hub(target: Target, folder: Path) -> Plan:
    """What would be published, where the files of the Hub are not known."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    listed = [Change(path.relative_to(folder).as_posix(), path.stat().st_size, "not compared") for path in files]
    return Plan(target, listed, exists=True, head=None, compared=False)


def tree(api: HfApi, target: Target, revision: str | None) -> dict[str, RepoFile]:
    """The files of a revision by path."""
    listed = api.list_repo_tree(target.id, recursive=True, revision=revision, repo_type=target.kind)
    return {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}


def changes(folder: Path, there: dict[str, RepoFile], is_ours: Callable[[str], bool]) -> list[Change]:
    """List the changes that make the Hub hold the files of a folder."""
    found = []
    here = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    for name, path in here.items():
        size = path.stat().st_size
        if name not in there:
            found.append(Change(name, size, "new"))
        else:
            found.append(Change(name, size, "unchanged" if is_same(path, there[name]) else "changed"))
    gone = [entry for name, entry in there.items() if name not in here and is_ours(name)]
    return found + [Change(entry.path, entry.size, "removed") for entry in gone]


def is_same(path: Path, entry: RepoFile) -> bool:
    """Whether a file has the content of one on the Hub, which knows it by its SHA-256 or as a git blob."""
    size = path.stat().st_size
    if size != entry.size:
        return False
    with path.open("rb") as file:
        if entry.lfs:
            return hashlib.file_digest(file, "sha256").hexdigest() == entry.lfs.sha256
        blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        blob.update(file.read())
        return blob.hexdigest() == entry.blob_id


def send_commit(api: HfApi, plan: Plan, folder: Path, message: str) -> Plan:
    """Create the repository and the branch where they are missing, and make one commit of all files.

    Raises:
        Wav2SmallError: if the Hub refuses or the connection breaks; files uploaded by then are not sent again.
    """
    target = plan.target
    add = [change.path for change in plan.changes if change.kind in ("new", "changed")]
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(path, folder / path) for path in add),
        *(CommitOperationDelete(change.path) for change in plan.changes if change.kind == "removed"),
    ]
    with hub_errors(target):
        if target.pull_request and (url := find_pull_request(api, plan, folder)):
            return replace(plan, url=url)
        if not plan.exists:
            api.create_repo(
                target.id, repo_type=target.kind, private=target.private, space_sdk=target.sdk, exist_ok=True
            )
        if plan.head is None and target.revision != MAIN:
            api.create_branch(target.id, branch=target.revision, repo_type=target.kind, exist_ok=True)
        if not operations:
            return replace(plan, url=f"{api.endpoint}/{target.id}/tree/{target.revision}")
        info = api.create_commit(
            target.id,
            operations,
            commit_message=message,
            repo_type=target.kind,
            revision=target.revision,
            create_pr=target.pull_request,
            parent_commit=None if target.pull_request else plan.head,  # so that no other commit is undone
        )
    return replace(plan, url=info.pr_url or info.commit_url)


def find_pull_request(api: HfApi, plan: Plan, folder: Path) -> str | None:
    """Find the address of an open pull request that holds the same files already."""
    target = plan.target
    gone = {change.path for change in plan.changes if change.kind == "removed"}
    for one in api.get_repo_discussions(target.id, repo_type=target.kind):
        if one.is_pull_request and one.status == "open":
            there = tree(api, target, one.git_reference)
            if all(change.kind == "unchanged" for change in changes(folder, there, gone.__contains__)):
                return one.url
    return None


@contextmanager
def hub_errors(target: Target) -> Iterator[None]:
    """Turn errors of the connection and of the Hub into one sentence."""
    try:
        yield
    except Wav2SmallError:
        raise
    except Exception as error:  # the two lines of huggingface_hub use HTTP clients without a common base class
        status = status_of(error)
        silent = not isinstance(error, ValueError) if status is None else status >= 500
        raise (UnreachableError if silent else Wav2SmallError)(explain(target, error)) from None


def status_of(error: BaseException) -> int | None:
    """The HTTP status of the Hub's response; `None` if there was no response."""
    response = response_of(error)
    return None if response is None else int(response.status_code)


def response_of(error: BaseException) -> Any:
    """The HTTP response in an error or its causes, if there was one."""
    responses = [getattr(each, "response", None) for each in error_chain(error)]
    return next((each for each in responses if each is not None), None)


def explain(target: Target, error: BaseException) -> str:
    """Give the reason for a failed upload, and the remedy."""
    chain = list(error_chain(error))
    response = response_of(error)
    namespace = target.id.split("/")[0]
    if response is None:
        if isinstance(error, ValueError):
            return f"{target.id}: {error}"
        return (
            f"{target.id}: the connection to the Hub broke off ({chain[-1] or type(chain[-1]).__name__}): repeat the "
            "command; no file was published (a new repository may exist, empty), and no file is sent twice"
        )
    said = response.headers.get("X-Error-Message") or "no reason given"
    remedies = {
        401: "the Hub does not accept this token: log in with another (`hf auth login`), or set HF_TOKEN",
        402: f"the Hub asks for a paid plan ({said})",
        403: f"this token may not write to {namespace} ({said}): log in with one that may (`hf auth login`)",
        404: "it is not on the Hub, or this token may not see it: check the name, and `hf auth login`",
        412: "another commit came first: look at it, then repeat the command",
    }
    status = response.status_code
    other = f"the Hub responded with status {status} ({said}): nothing was published, repeat the command later"
    return f"{target.id}: {remedies.get(status, other)}"
