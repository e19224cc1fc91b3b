"""Publishing a checkpoint, or the Space: checked, compared with the Hub, sent in one commit."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import HfApi

from wav2small.models.errors import Wav2SmallError
from wav2small.provenance import provenance
from wav2small.provenance.licences import licence_of
from wav2small.shipped import shipped_folder

from . import commit, validate
from .commit import MAIN, Plan, Target
from .static_page import WEB, write_static_page

MESSAGE = f"wav2small {version('wav2small')}"
DEMO = "wav2small_demo"  # the package of the page
PAID = "On the Hub, a Gradio Space on a CPU may need a paid plan; static ones are free."


def publish(
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    pull_request: bool = False,
    dry_run: bool = False,
) -> Plan:
    """Publish a checkpoint: all checks, then one commit of what differs from the Hub.

    A repository or branch that is missing is created. Files of an earlier checkpoint that this one does not have are
    removed; other files on the Hub stay.

    Args:
        folder: a checkpoint with ONNX files, card and provenance, and nothing else.
        repo_id: "org/name" on the Hub.
        private: make a new repository private.
        revision: branch; main by default.
        pull_request: propose the commit, also to a repository of somebody else.
        dry_run: send nothing; needs no token for a public repository, and says so where the Hub cannot be reached.

    Returns:
        The differences, and the address of the commit if there is one.

    Raises:
        Wav2SmallError: if a check fails, or the Hub refuses.
    """
    target = parse_target(repo_id, revision, pull_request, private)
    api = HfApi() if dry_run else commit.log_in(target)
    from . import card

    with staging_folder(folder) as staged:
        validate.stage(folder, staged)
        validate.check_secrets(staged)
        card.check_card(folder)
        licence = check_licence(folder)
        if licence_of((repo_id, licence)).own and not private:
            raise Wav2SmallError(
                f"{folder} is {licence}, your own: publish it with --private, or write terms of your own on its card, "
                "license: in README.md"
            )
        check_code(folder, repo_id)
        plan = replace(compare(api, target, staged, validate.is_checkpoint_file, dry_run), licence=licence)
        if plan.unchanged:  # these files were checked when they were published
            return plan
        validate.check_weights(staged)
        return plan if dry_run else commit.send_commit(api, plan, staged, MESSAGE)


def publish_space(
    folder: Path | None,
    repo_id: str,
    *,
    static: bool = False,
    private: bool = False,
    revision: str | None = None,
    pull_request: bool = False,
    dry_run: bool = False,
) -> Plan:
    """Publish a Space.

    Args:
        folder: with README.md, the app and requirements.txt; default: the Space of this package.
        repo_id: as for [`publish`], and so are the others.
        static: instead of the Space, the page of this package that needs no server.
        private: make a new Space private.
        revision: branch.
        pull_request: propose the commit.
        dry_run: send nothing.

    Raises:
        Wav2SmallError: if a check fails, or the Hub refuses.
    """
    target = parse_target(repo_id, revision, pull_request, private)
    api = HfApi() if dry_run else commit.log_in(target)
    source = folder or (shipped_folder(WEB) / "page" if static else shipped_folder("space"))
    front = validate.check_space(source)
    target = replace(target, kind="space", sdk=front["sdk"])
    with staging_folder(source) as staged:
        if static:
            write_static_page(staged)
        else:
            copy_space(folder, staged)
        validate.check_secrets(staged)
        plan = compare(api, target, staged, lambda path: not path.startswith("."), dry_run)
        plan = replace(plan, licence=front.get("license"), note=PAID if front["sdk"] == "gradio" else "")
        return plan if dry_run or plan.unchanged else commit.send_commit(api, plan, staged, MESSAGE)


def compare(api: HfApi, target: Target, folder: Path, is_ours: Callable[[str], bool], dry_run: bool) -> Plan:
    """Compare a folder with the Hub; a dry run goes on where the Hub cannot be reached."""
    try:
        return commit.plan_commit(api, target, folder, is_ours)
    except commit.UnreachableError:
        if not dry_run:
            raise
        return commit.plan_without_hub(target, folder)


def copy_space(folder: Path | None, out: Path) -> None:
    """Copy a Space into an empty folder; `None` stands for that of this package, whose page is installed beside it."""
    parts = {folder: out} if folder else {shipped_folder("space"): out, shipped_folder(DEMO): out / DEMO}
    for part, place in parts.items():
        validate.refuse_links(part)
        shutil.copytree(part, place, ignore=shutil.ignore_patterns("__pycache__", ".*"), dirs_exist_ok=True)


def collect(title: str, items: list[str], private: bool = False) -> str:
    """Put models and Spaces into a collection; it is created, or what is missing is added.

    Args:
        title: of the collection; it belongs to the owner of the first item.
        items: "org/name" of a model, "spaces/org/name", "datasets/org/name"; in this order.
        private: make a new collection private.

    Returns:
        The address of the collection.

    Raises:
        Wav2SmallError: if an item is not on the Hub, or the Hub refuses.
    """
    targets = [item_target(item) for item in items]
    api = commit.log_in(targets[0])
    for target in targets:  # before anything is created, all must be there
        with commit.hub_errors(target):
            api.repo_info(target.id, repo_type=target.kind)
    with commit.hub_errors(targets[0]):
        owner = targets[0].id.split("/")[0]
        collection = api.create_collection(title, namespace=owner, private=private, exists_ok=True)
        for target in targets:
            api.add_collection_item(collection.slug, target.id, target.kind, exists_ok=True)
    return collection.url


def item_target(item: str) -> Target:
    """Parse an item of a collection, written as the end of its address on the Hub."""
    kind, _, repo_id = item.partition("/")
    if item.count("/") == 2 and kind in ("spaces", "datasets"):
        return replace(parse_target(repo_id), kind="space" if kind == "spaces" else "dataset")
    return parse_target(item)


def parse_target(
    repo_id: str, revision: str | None = None, pull_request: bool = False, private: bool = False
) -> Target:
    """Check where to publish, as the user wrote it."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id):
        raise Wav2SmallError(f"{repo_id}: a repository on the Hub is written org/name")
    if revision not in (None, MAIN) and pull_request:
        raise Wav2SmallError("a pull request is for main: give --revision or --pr, not both")
    return Target(repo_id, revision=revision or MAIN, private=private, pull_request=pull_request)


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """Make an empty folder of the same name, and remove it afterwards."""
    with tempfile.TemporaryDirectory() as place:
        staged = Path(place) / folder.resolve().name
        staged.mkdir()
        yield staged


def check_licence(folder: Path) -> str:
    """The licence on the card, if the provenance of the checkpoint allows it."""
    front = validate.front_matter(folder / validate.CARD)
    licence = f"LicenseRef-{front.get('license_name')}" if front["license"] == "other" else str(front["license"])
    provenance.read_provenance(folder).check_licence(licence)
    return licence


def check_code(folder: Path, repo_id: str) -> None:
    """Make sure that the code on the card loads this model."""
    if f'"{repo_id}"' not in (folder / validate.CARD).read_text(encoding="utf-8"):
        raise Wav2SmallError(f"the code on the card does not load {repo_id}: `wav2small card FOLDER --id {repo_id}`")
