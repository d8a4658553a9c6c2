"""Behaviour scores of heads: names and meanings."""

from __future__ import annotations

OF_PATTERNS = {
    "induction": "attention to the tokens that followed earlier occurrences of this one",
    "duplicate token": "attention to earlier occurrences of this token",
    "previous token": "attention to the token just before",
    "first-token sink": "attention to the first token of the sequence",
    "self": "attention to the token itself",
    "local window": "attention to the last 8 tokens, itself included, without the first token",
    "prefix matching (literal)": "attention to the tokens before earlier occurrences of this one, "
    "as Olsson et al. (2022) word it",
}
"""Scores of patterns on repeated random tokens, and their meaning; each is a mean over queries,
between 0 and 1."""

OF_OUTPUTS = {
    "copying": "share of the attended token in the logits raised among 25 random tokens, by the "
    "direct path, if the head attends to that token alone; 0.04 by chance",
    "copying (literal)": "the same for the tokens that the head attends to, as Olsson et al. "
    "(2022) word it",
}
"""Scores of the outputs of heads, and their meaning; between 0 and 1."""

BEHAVIOURS = {**OF_PATTERNS, **OF_OUTPUTS}
"""All scores and their meaning."""
