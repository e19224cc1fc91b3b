"""Recipe files: YAML, which may build on another recipe, with values of the command line on top."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from wav2small.models.errors import Wav2SmallError
from wav2small.shipped import shipped_folder

from .head_recipe import HeadRecipe
from .recipe import MixtureRecipe, Recipe

BASE = "base"  # key that names the recipe that a recipe builds on, relative to its own file
Kind = TypeVar("Kind", MixtureRecipe, Recipe, HeadRecipe)


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe.

    A recipe that says `base: other.yaml` holds only what differs from that one: maps are merged key by key, all other
    values, lists too, are replaced.

    Args:
        path: of the YAML file, or the name of a recipe of this package.
        overrides: `key=value`, keys with dots and list positions (`corpora.0.weight=2`), values as in YAML.

    Raises:
        Wav2SmallError: for a file that cannot be read, unknown or contradictory keys; it names file, line and key of
            each fault.
    """
    return _load(path, overrides, Recipe)


def load_mixture(path: Path, overrides: list[str] | None = None) -> MixtureRecipe:
    """Read the mixture of a recipe, which need not say how to train; arguments and errors as for [`load_recipe`]."""
    return _load(path, overrides, MixtureRecipe)


def load_any(path: Path, overrides: list[str] | None = None) -> MixtureRecipe:
    """Read a recipe of a student or, where it does not say how to train, its mixture."""
    _, values = _read(shipped(path), [])
    return load_recipe(path, overrides) if "validation" in values else load_mixture(path, overrides)


def load_head(path: Path, overrides: list[str] | None = None) -> HeadRecipe:
    """Read the recipe of a teacher's head; arguments and errors as for [`load_recipe`]."""
    return _load(path, overrides, HeadRecipe)


@dataclass(frozen=True)
class Source:
    """One file of a recipe: its path and its YAML nodes, which know their lines."""

    path: Path
    tree: yaml.Node


def _load(path: Path, overrides: list[str] | None, kind: type[Kind]) -> Kind:
    sources, values = _read(shipped(path), [])
    changed = {}
    for override in overrides or []:
        key, equals, value = override.partition("=")
        if not equals:
            raise Wav2SmallError(f"{override}: an override is written key=value")
        changed[_set(values, key, yaml.safe_load(value))] = override
    # a mixture is a part of a recipe, which says more
    training = Recipe.model_fields.keys() - kind.model_fields.keys() if kind is MixtureRecipe else set()
    try:
        return kind.model_validate({key: value for key, value in values.items() if key not in training})
    except ValidationError as error:
        faults = []
        for each in error.errors():
            where = next((text for key, text in changed.items() if each["loc"][: len(key)] == key), None)
            where = where or _place(sources, each["loc"])
            key = ".".join(str(part) for part in each["loc"])
            message = {"extra_forbidden": "unknown key", "missing": "is missing"}.get(each["type"], each["msg"])
            faults.append(f"{where}: {key + ': ' if key else ''}{message.removeprefix('Value error, ')}")
        raise Wav2SmallError("; ".join(dict.fromkeys(faults))) from None


def shipped(path: Path) -> Path:
    """The path of a recipe, which may be the name of one that ships with this package: `offline`, `permissive`."""
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    recipes = {each.stem: each for each in sorted(shipped_folder("recipes").glob("*.yaml"))}
    if path.name not in recipes:
        raise Wav2SmallError(f"{path}: no such file, and no recipe of this package: {', '.join(recipes)}")
    return recipes[path.name]


def _read(path: Path, above: list[Path]) -> tuple[list[Source], dict[str, Any]]:
    """A file and those that it builds on, itself first, and their values merged."""
    if path.resolve() in above:
        raise Wav2SmallError(f"{path}: its {BASE} leads back to it: remove {BASE} from one of the recipes")
    try:
        text = path.read_text(encoding="utf-8")
        tree, values = yaml.compose(text), yaml.safe_load(text)
    except OSError as error:
        named = f"{above[-1].name}: {BASE}: " if above else ""
        raise Wav2SmallError(f"{named}{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise Wav2SmallError(f"{path}{place}: {getattr(error, 'problem', None) or 'not YAML'}") from None
    if tree is None or not isinstance(values, dict):
        raise Wav2SmallError(f"{path} is not a recipe: it must hold keys and values")
    sources, base = [Source(path, tree)], values.pop(BASE, None)
    if base is None:
        return sources, values
    if not isinstance(base, str):
        raise Wav2SmallError(f"{_place(sources, (BASE,))}: {BASE}: it must be the path of a recipe, not {base!r}")
    more, beneath = _read(path.parent / base, [*above, path.resolve()])
    return sources + more, _merge(beneath, values)


def _merge(beneath: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay values over others, key by key."""
    merged = dict(beneath)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _set(values: Any, key: str, value: Any) -> tuple[str | int, ...]:
    """Set one dotted key; return it as a tuple."""
    parts = tuple(int(part) if part.isdigit() else part for part in key.split("."))
    try:
        for part in parts[:-1]:
            values = values.setdefault(part, {}) if isinstance(values, dict) else values[part]
        values[parts[-1]] = value
    except (TypeError, IndexError, AttributeError):
        raise Wav2SmallError(f"{key}={value}: the recipe has no such place") from None
    return parts


def _place(sources: list[Source], location: tuple[str | int, ...]) -> str:
    """File and line of a key, or of the nearest key above it; of the first file that holds most of it."""
    depths = [_find(source.tree, location) for source in sources]
    best = max(range(len(sources)), key=lambda i: (depths[i][0], -i))
    return f"{sources[best].path}, line {depths[best][1]}"


def _find(node: yaml.Node, location: tuple[str | int, ...]) -> tuple[int, int]:
    """How many parts of a key a file holds, and the line of the last of them."""
    line, depth = node.start_mark.line, 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
        depth += 1
    return depth, line + 1
