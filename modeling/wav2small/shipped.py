"""Folders that ship with the package but lie beside the code in a checkout: card templates, recipes, the Space."""

from pathlib import Path

from .models.errors import Wav2SmallError


def shipped_folder(folder: str) -> Path:
    """Where `hub_cards`, `recipes` or `space` lies: inside the installed package, or at its place in a checkout.

    Raises:
        Wav2SmallError: if this installation lacks it.
    """
    package = Path(__file__).parent
    checkout = package.parents[1]
    for place in (package / folder, checkout / folder, checkout / "training" / folder):
        if place.is_dir():
            return place
    raise Wav2SmallError(f"{folder} is missing from this installation of wav2small: install it again")
