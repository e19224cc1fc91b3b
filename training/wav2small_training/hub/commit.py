"""A finished folder -> one commit on the Hub, of what differs and nothing else; each refusal is one sentence."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

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
        revision: branch; made if it is not there.
        private: whether a repository that has to be made is private.
        pull_request: propose the commit, instead of making it.
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
    kind: Literal["new", "changed", "unchanged", "removed"]


@dataclass(frozen=True)
class Plan:
    """What publishing does, and where it led.

    Attributes:
        target: where on the Hub.
        changes: file by file.
        exists: whether the repository is there.
        head: commit that the branch is at; `None` if there is no such branch.
        licence: on the card.
        url: of the commit or pull request; `None` if nothing was sent.
        note: what the user should know besides.
    """

    target: Target
    changes: list[Change]
    exists: bool
    head: str | None
    licence: str | None = None
    url: str | None = None
    note: str = ""

    @property
    def idle(self) -> bool:
        """Whether the Hub holds all of this already."""
        return self.head is not None and all(change.kind == "unchanged" for change in self.changes)

    def title(self) -> str:
        """Repository, licence, what is new about it."""
        new = "" if self.exists else f", new, {'private' if self.target.private else 'public'}"
        branch = "" if self.target.revision == MAIN else f", branch {self.target.revision}"
        branch += ", new" if self.exists and self.head is None else ""
        return f"{self.target.id} ({self.target.kind}{new}{branch}), licence {self.licence}"

    def table(self) -> Table:
        """The files, for people."""
        table = Table("file")
        table.add_column("size", justify="right")
        table.add_column("on the Hub")
        for change in self.changes:
            table.add_row(change.path, decimal(change.size), change.kind)
        return table

    def __str__(self):
        size = decimal(sum(change.size for change in self.changes if change.kind in ("new", "changed")))
        counts = {kind: sum(change.kind == kind for change in self.changes) for kind in ("new", "changed", "removed")}
        told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "a new branch"
        if self.url:
            return f"{'proposed' if self.target.pull_request else 'published'} {told} ({size}): {self.url}"
        if self.idle:
            return f"nothing to do: {self.target.id} holds these files already"
        return f"this would {'propose' if self.target.pull_request else 'publish'} {told} ({size}) in one commit"


def log_in(target: Target) -> HfApi:
    """The Hub, with a token that may write to a place.

    Raises:
        Wav2SmallError: if there is no token, or the Hub does not accept it, or it may not write there.
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
            f"{user['name']} may not write to {namespace}: ask for the right, log in as another, or choose another name"
        )
    return api


def compare(api: HfApi, target: Target, folder: Path, owns: Callable[[str], bool]) -> Plan:
    """Compare a folder with what is on the Hub; it needs no token where everybody may read.

    Args:
        api: the Hub.
        target: where on it.
        folder: all of its files.
        owns: whether a file that is only on the Hub goes, by its path; others are left alone.

    Raises:
        Wav2SmallError: if the Hub cannot be reached, or is public where private was asked for.
    """
    there: dict[str, RepoFile] = {}
    exists, head = True, None
    with hub_errors(target):
        try:
            info = api.repo_info(target.id, repo_type=target.kind)
            if target.private and not info.private:
                raise Wav2SmallError(f"{target.id} is there and public: leave --private off, or choose another name")
            try:
                info = api.repo_info(target.id, repo_type=target.kind, revision=target.revision)
                head = info.sha
            except RevisionNotFoundError:
                pass  # the branch will begin where main is
            there = tree(api, target, info.sha)
        except RepositoryNotFoundError:
            exists = False
    if target.pull_request and not exists:
        raise Wav2SmallError(f"{target.id} is not on the Hub: a pull request is for what is there, leave --pr off")
    return Plan(target, changes(folder, there, owns), exists, head)


def tree(api: HfApi, target: Target, revision: str | None) -> dict[str, RepoFile]:
    """The files of a revision by path."""
    listed = api.list_repo_tree(target.id, recursive=True, revision=revision, repo_type=target.kind)
    return {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}


def changes(folder: Path, there: dict[str, RepoFile], owns: Callable[[str], bool]) -> list[Change]:
    """What makes the Hub hold the files of a folder."""
    found = []
    here = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    for name, path in here.items():
        size = path.stat().st_size
        if name not in there:
            found.append(Change(name, size, "new"))
        else:
            found.append(Change(name, size, "unchanged" if is_same(path, there[name]) else "changed"))
    gone = [entry for name, entry in there.items() if name not in here and owns(name)]
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


def send(api: HfApi, plan: Plan, folder: Path, message: str) -> Plan:
    """Make the repository and the branch where they are missing, and one commit; files appear with it, or not at all.

    Raises:
        Wav2SmallError: if the Hub refuses or the connection breaks; what was uploaded by then is not sent again.
    """
    target = plan.target
    add = [change.path for change in plan.changes if change.kind in ("new", "changed")]
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(path, folder / path) for path in add),
        *(CommitOperationDelete(change.path) for change in plan.changes if change.kind == "removed"),
    ]
    with hub_errors(target):
        if target.pull_request and (url := proposed(api, plan, folder)):
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
            parent_commit=None if target.pull_request else plan.head,  # nobody else's commit is undone
        )
    return replace(plan, url=info.pr_url or info.commit_url)


def proposed(api: HfApi, plan: Plan, folder: Path) -> str | None:
    """The address of an open pull request that holds all of a folder already."""
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
    """Turn what goes wrong between here and the Hub into one sentence."""
    try:
        yield
    except Wav2SmallError:
        raise
    except Exception as error:  # the two lines of huggingface_hub use HTTP clients without a common base class
        raise Wav2SmallError(sentence(target, error)) from None


def sentence(target: Target, error: BaseException) -> str:
    """Why the Hub does not do it, and the mend."""
    chain = list(error_chain(error))
    responses = [getattr(each, "response", None) for each in chain]
    response = next((each for each in responses if each is not None), None)
    namespace = target.id.split("/")[0]
    if response is None:
        if isinstance(error, ValueError):
            return f"{target.id}: {error}"
        return (
            f"{target.id}: the connection to the Hub broke off ({chain[-1] or type(chain[-1]).__name__}): repeat the "
            "command; no file was published (a new repository may be there, empty), and none is sent twice"
        )
    said = response.headers.get("X-Error-Message") or "no reason given"
    mends = {
        401: "the Hub does not accept this token: log in with another (`hf auth login`), or set HF_TOKEN",
        402: f"the Hub asks for a paid plan ({said})",
        403: f"this token may not write to {namespace} ({said}): log in with one that may (`hf auth login`)",
        404: "it is not on the Hub, or this token may not see it: check the name, and `hf auth login`",
        412: "somebody else's commit came first: look at it, then repeat the command",
    }
    status = response.status_code
    other = f"the Hub answers with status {status} ({said}): nothing was published, repeat the command later"
    return f"{target.id}: {mends.get(status, other)}"
