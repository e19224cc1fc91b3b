"""A list of checkpoints -> a table for the terminal."""

from rich import box
from rich.console import Group
from rich.table import Table

from ..inference.catalogue import SECONDS, Entry, common_report
from ..provenance.provenance import link_model


def catalogue_table(entries: list[Entry]) -> Group:
    """Lay out checkpoints, and say below the table what its numbers are.

    Args:
        entries: at least one; times are compared with the first one's.
    """
    report = common_report(entries)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", overflow="fold")
    for column in ("8 bit\nKB", "arousal\nr", "dominance\nr", "valence\nr", "ms", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold")
    for entry in entries:
        size = f"{entry.bytes / 1000:,.0f}" if entry.bytes else "-"
        quality = [f"{r:.2f}" for r in entry.pearson.get(report, ())] or ["-"] * 3
        ratio = f"{entry.ms / entries[0].ms:.2f}" if entry.ms and entries[0].ms else "-"
        licence = link_model(str(entry.folder), "parent").licence or "unknown"
        table.add_row(entry.name, size, *quality, f"{entry.ms:.1f}" if entry.ms else "-", ratio, licence)
    measured = f"r: correlation with the targets of results/{report}.json in its folder. " if report else ""
    note = (
        f"The first one is the default. {measured}ms: median for {SECONDS:g} s of audio with the 8-bit file "
        "on one thread of this machine; time: as a multiple of the first one's. -: not there, or not measured."
    )
    return Group(table, note)
