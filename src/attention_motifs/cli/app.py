"""The application `motifs` with all of its commands."""

from attention_motifs.cli.application import app, load_command

load_command(None)

__all__ = ["app"]
