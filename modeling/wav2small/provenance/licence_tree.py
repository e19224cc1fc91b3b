"""`wav2small licence`: the sources of a model as a tree, with what the licence of each allows."""

from rich.markup import escape
from rich.tree import Tree

from . import licences
from .provenance import Link, Provenance, link_model


def licence_tree(source: str, revision: str | None = None) -> Tree:
    """Draw the sources of a model; its licence is at the root, and sources that did not shape the weights are grey.

    Raises:
        Wav2SmallError: if the model cannot be found, a licence is not known, or its provenance cannot be trusted.
    """
    model = link_model(source, "parent", revision)
    known = licences.licence_of((model.id, model.licence))
    made = model.provenance
    drawn = Tree(f"{escape(made.name if made else model.id)}\n[bold]{known.id}[/]: {known.summary()}")
    if made:
        add_links(drawn, made, [])
    else:
        drawn.add("its sources are not recorded: this is the licence on its card")
    return drawn


def add_links(branch: Tree, made: Provenance, drawn: list[Link]) -> None:
    """Add the links of one step, and below each its own sources; a source that was drawn before takes one line."""
    for each in made.direct_links():
        if each in drawn:
            branch.add(f"{describe_link(each)}: as above")
            continue
        drawn.append(each)
        twig = branch.add(link_text(each))
        if each.provenance:
            add_links(twig, each.provenance, drawn)


def describe_link(each: Link) -> str:
    """Use, name and amount of a source."""
    facts = [each.revision[:7]] if each.revision else []
    if each.clips is not None:
        facts.append(f"{each.clips:,} clips")
    if each.hours is not None:
        facts.append(f"{each.hours:.1f} h" if each.hours >= 1 else f"{60 * each.hours:.0f} min")
    amount = f" ({', '.join(facts)})" if facts else ""
    return escape(f"{each.use}: {each.credit or each.id}{amount}")


def link_text(each: Link) -> str:
    """A source, and below it the licence and what that allows."""
    if not each.shapes_weights:
        return f"[dim]{describe_link(each)}\ndid not shape the weights, so its licence does not count[/]"
    known = licences.licence_of((each.id, each.licence))
    return f"{describe_link(each)}\n[bold]{known.id}[/]: {known.summary()}"
