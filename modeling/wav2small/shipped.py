"""Folders that ship with the package but are beside the code in a checkout: card templates, recipes, the Space."""

from pathlib import Path

from .models.errors import Wav2SmallError


def shipped_folder(folder: str) -> Path:
    """Find `hub_cards`, `recipes`, `space`, `web` or `wav2small_demo`: installed, or in a checkout.

    Raises:
        Wav2SmallError: if this installation lacks it.
    """
    package = Path(__file__).parent
    checkout = package.parents[1]
    installed = (package / folder, package.parent / folder)
    for place in (*installed, checkout / folder, checkout / "training" / folder, checkout / "space" / folder):
        if place.is_dir():
            return place
    raise Wav2SmallError(f"{folder} is missing from this installation of wav2small: install it again")
