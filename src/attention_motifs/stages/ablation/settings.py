"""Settings of the stage `ablate`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attention_motifs.errors import InputError

N_SEQUENCES = 12
N_CONTROLS = 99


@dataclass(frozen=True)
class Settings:
    """Methods, designs and sizes of an ablation; equal settings give equal rows."""

    methods: tuple[str, ...] = ("mean",)
    """Keys of `behaviour.METHODS`, or `("all",)`."""
    n_sequences: int = N_SEQUENCES
    """Sequences of each design."""
    n_controls: int = N_CONTROLS
    """Layer-matched random sets of heads."""
    designs: tuple[str, ...] = ("prompts", "repeated")
    seed: int = 0
    device: str = "auto"


def checked(settings: Settings | None) -> Settings:
    """Return the settings, or the default ones; the replacement `all` alone stands for all.

    Raises:
        InputError: if a replacement or design is not known, or a number is too small.
    """
    from attention_motifs.behaviour import DESIGN_NAMES, METHODS

    chosen = settings or Settings()
    if chosen.methods == ("all",):
        chosen = replace(chosen, methods=tuple(METHODS))
    for option, names, known in (
        ("--replacement", chosen.methods, METHODS),
        ("--design", chosen.designs, DESIGN_NAMES),
    ):
        for name in names:
            if name not in known:
                more = ", or all alone" if option == "--replacement" else ""
                raise InputError(f"{option} {name!r}: choose {', '.join(known)}{more}")
    if chosen.n_sequences < 2 or chosen.n_controls < 1:
        raise InputError(
            f"--sequences {chosen.n_sequences}, --controls {chosen.n_controls}: give at least 2 "
            "and 1"
        )
    return chosen
