"""The stage `ablate`: targets, sequences, measured rows."""
