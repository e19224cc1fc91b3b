"""The checkpoints in this package and in a checkout, by name; the names are those of their folders."""

from pathlib import Path

PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT = "adv-tiny"  # name of the checkpoint that is used where none is named
BUNDLED = PRETRAINED / DEFAULT


def bundled_checkpoints() -> dict[str, Path]:
    """The folders of the checkpoints in this package by name, the default one first."""
    names = sorted(config.parent.name for config in PRETRAINED.glob("[!.]*/config.json"))
    return {name: PRETRAINED / name for name in sorted(names, key=lambda name: name != DEFAULT)}


def checkout_checkpoints() -> dict[str, Path]:
    """The folders in `checkpoints/` of a checkout by name; none elsewhere."""
    folder = Path(__file__).parents[2] / "checkpoints"
    return {config.parent.name: config.parent for config in sorted(folder.glob("[!.]*/config.json"))}


def bundled_name(folder: Path) -> str | None:
    """The name of a folder that is a checkpoint in this package; `None` for any other folder."""
    return folder.name if folder.resolve().parent == PRETRAINED.resolve() else None
