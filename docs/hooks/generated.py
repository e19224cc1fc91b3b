"""Parts of the documentation that are made from the code as it is built: commands, recipe, source tree.

A page says `<!-- generated: NAME -->` where one belongs; NAME is a key of `PARTS`.
"""

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

ROOT = Path(__file__).parents[2]
TREES = ("modeling/wav2small", "training/wav2small_training", "space/wav2small_demo")
MARK = re.compile(r"<!-- generated: (\w+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill a page; mkdocs calls this."""
    return MARK.sub(lambda mark: PARTS[mark[1]](), markdown)


def commands() -> str:
    """Every command: what it does, its arguments and its options."""
    from typer.main import get_command

    from wav2small.cli.main import app

    group: Any = get_command(app)
    return "\n".join(_command(name, group.get_command(None, name)) for name in sorted(group.list_commands(None)))


def _command(name: str, command: Any) -> str:
    usage, rows = ["wav2small", name], [_row("", ""), "|---|---|"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            shown = parameter.metavar or parameter.name.upper()
            shown += "..." if parameter.nargs == -1 and not shown.endswith("...") else ""
            usage.append(shown if parameter.required or "[" in shown else f"[{shown}]")
            rows.append(_row(f"`{shown}`", parameter.help or ""))
        elif parameter.name != "help":
            default = parameter.default if isinstance(parameter.default, (str, int, float)) else None
            more = f" Default: {default}." if default not in (None, False) else ""
            rows.append(_row(f"`{', '.join(parameter.opts)}`", (parameter.help or "") + more))
    return f"## {name}\n\n{command.help}\n\n```\n{' '.join(usage)}\n```\n\n" + "\n".join(rows) + "\n"


def recipe() -> str:
    """Every key of a recipe: type, default, meaning; from the pydantic models and their docstrings."""
    from wav2small_training.recipe import Recipe

    return "\n".join(_model(model) for model in _models(Recipe))


def _models(model: type) -> Iterator[type]:
    """A pydantic model and those that its fields hold, each once, outer ones first."""
    seen = [model]
    for one in seen:
        yield one
        for field in one.model_fields.values():
            seen += [part for part in _parts(field.annotation) if hasattr(part, "model_fields") and part not in seen]


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _model(model: Any) -> str:
    import griffe

    bases = [base for base in reversed(model.__mro__) if hasattr(base, "model_fields")]
    docstrings = [griffe.Docstring(base.__doc__ or "", parser="google").parsed for base in bases]
    docstring = docstrings[-1]
    meaning = {
        entry.name: entry.description
        for section in chain.from_iterable(docstrings)
        if section.kind is griffe.DocstringSectionKind.attributes
        for entry in section.value
    }
    text = "\n\n".join(section.value for section in docstring if section.kind is griffe.DocstringSectionKind.text)
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _default(field.default)
        cells = (f"`{name}`", _type(field.annotation), default, " ".join(meaning.get(name, "").split()))
        rows.append(_row(*cells))
    return f"## {model.__name__}\n\n{text}\n\n" + "\n".join(rows) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(value: Any) -> str:
    if hasattr(type(value), "model_fields"):
        return f"all of [{type(value).__name__}](#{type(value).__name__.lower()})"
    return "" if value is None else f"`{json.dumps(value)}`"


def _type(annotation: Any) -> str:
    """A type in words that a writer of YAML knows."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return ""
    if hasattr(annotation, "model_fields"):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if origin in (Union, UnionType):
        return " or ".join(filter(None, map(_type, parts)))
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is list:
        return f"list of {_type(parts[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_type, (part for part in parts if part is not ...)))}]"
    if origin is dict:
        return "keys and values"
    if origin is not None:  # Annotated
        return _type(parts[0])
    return {str: "text", int: "integer", float: "number", bool: "true or false"}.get(
        annotation, getattr(annotation, "__name__", str(annotation))
    )


def tree() -> str:
    """Every module of the packages with the first line of its docstring, as a text tree."""
    lines: list[str] = []
    for top in TREES:
        lines.append(f"{top}/")
        folders = {path.parent for path in (ROOT / top).rglob("*.py") if "pretrained" not in path.parts}
        for folder in sorted(folders):
            if folder != ROOT / top:
                lines.append(f"  {folder.relative_to(ROOT / top).as_posix()}/")
            lines += map(_module, sorted(folder.glob("*.py")))
    return "```text\n" + "\n".join(lines) + "\n```"


def _module(path: Path) -> str:
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    wrapped = textwrap.wrap(first, 78, subsequent_indent=" " * 37)
    return f"    {path.name:<32} {chr(10).join(wrapped)}".rstrip()


PARTS = {"commands": commands, "recipe": recipe, "tree": tree}
