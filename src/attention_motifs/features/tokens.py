"""The feature set `tokens`: names and descriptions of its features.

The features describe a pattern together with the texts of its tokens.
"""

from __future__ import annotations

from attention_motifs.features.registry import Feature, FeatureSet
from attention_motifs.features.token_definitions import FAR, NAMES
from attention_motifs.features.token_texts import FREQUENT

SOURCE = "this project: chosen to separate heads of different behaviour"
UNIT = (0.0, 1.0)
_SAME = r"s_j=s_i"

# Relation -> (its pairs, its keys in words).
_RELATIONS = {
    "same": (_SAME, "earlier occurrences of the query's token"),
    "after": (
        r"s_{j-1}=s_i",
        "the tokens after earlier occurrences of the query's token, as induction heads do",
    ),
    "after_pair": (
        r"s_{j-1}=s_i,\ s_{j-2}=s_{i-1}",
        "the tokens after earlier occurrences of the query's token and the token before it",
    ),
    "before": (
        r"s_{j+1}=s_i,\ j+1<i",
        "the tokens before earlier occurrences of the query's token",
    ),
    "newline": (r"j\text{ holds a line break}", "line breaks"),
    "punctuation": (
        r"j\text{ holds no letter or digit}",
        "punctuation and symbols",
    ),
    "digit": (r"j\text{ holds a digit}", "digits"),
    "capital": (r"\text{the first letter of }j\text{ is a capital}", "capitalised words"),
    "start": (r"\text{a word begins in }j", "first tokens of words"),
    "rare": (r"\text{no other token is as }j", "tokens that the prompt holds once"),
    "frequent": (
        rf"\left|\{{k:s_k=s_j\}}\right|\ge{FREQUENT}",
        f"tokens that the prompt holds {FREQUENT} times or more",
    ),
    "alike": (
        r"\kappa_j=\kappa_i\ (\text{line break, punctuation, digits, continued word, word})",
        "tokens of the query's kind: words from words, punctuation from punctuation",
    ),
    "word": (r"i,j\text{ in one word}", "earlier tokens of the query's word"),
    "sentence": (r"i,j\text{ in one sentence}", "earlier tokens of the query's sentence"),
    "line": (r"i,j\text{ in one line}", "earlier tokens of the query's line"),
}
_SHARE = r"\frac{\sum_{R}C_{ij}}{\sum_{i\in Q}\sum_k C_{ik}}"
# Statistic -> (formula, range, meaning of a large value for the keys {x}).
_STATISTICS = {
    "share": (
        _SHARE,
        UNIT,
        "of the weight on earlier tokens, most is on {x}",
    ),
    "excess": (
        _SHARE + r"-\frac{\sum_{R}m_{i-j}}{\sum_{i\in Q}\sum_{d=1}^{i-1}m_d},\quad "
        r"m_d=\operatorname{mean}_i C_{i,i-d}",
        (-1.0, 1.0),
        "more weight is on {x} than their distances explain",
    ),
    "last": (
        r"\operatorname{mean}_{i\in Q}C_{i,\max\{j:(i,j)\in R\}}",
        UNIT,
        "much weight is on the last of {x}",
    ),
    "far": (
        rf"\operatorname{{mean}}_i\sum_{{(i,j)\in R,\,i-j>{FAR}}}C_{{ij}}"
        r"\ (\text{of }i\text{ with such a }j)",
        UNIT,
        f"much weight is on {{x}}, more than {FAR} tokens back",
    ),
    "peak": (
        r"\frac{1}{|Q|}\left|\{i:(i,\arg\max_j C_{ij})\in R\}\right|\ "
        r"(\text{the nearest of equals})",
        UNIT,
        "the largest weight on an earlier token is on one of {x}",
    ),
}
_FIRST = r"\operatorname{mean}_{i\in K}A_{i0}-\operatorname{mean}_{i\ge1}A_{i0},\quad K="
# Feature -> (formula, range, meaning of a large value).
_SINGLE: dict[str, tuple[str, tuple[float, float], str]] = {
    "entropy.distinct": (
        r"\operatorname{mean}_i\frac{-\sum_t p_{it}\log_2p_{it}}{\log_2 T_i},\quad "
        r"p_{it}=\frac{\sum_{j:s_j=t}C_{ij}}{\sum_jC_{ij}},\quad "
        r"T_i\ge2\text{ distinct tokens before }i",
        UNIT,
        "queries spread their weight evenly over the distinct tokens before them",
    ),
    "first.at_marks": (
        _FIRST + r"\text{line breaks and punctuation}",
        (-1.0, 1.0),
        "punctuation and line breaks attend more to the first token than other queries do",
    ),
    "first.at_starts": (
        _FIRST + r"\text{first tokens of words}",
        (-1.0, 1.0),
        "first tokens of words attend more to the first token than other queries do",
    ),
}


def _described(name: str) -> Feature:
    context, _, statistic = name.rpartition(".")
    if name in _SINGLE:
        formula, limits, large = _SINGLE[name]
    else:
        pairs, keys = _RELATIONS[context]
        formula, limits, large = _STATISTICS[statistic]
        formula = rf"{formula},\quad R:{pairs}"
        large = large.format(x=keys)
    return Feature(name, context, statistic, formula, limits, large, SOURCE)


NOTES = r"""
Which earlier tokens a query attends to: copies of its token, the tokens after them, punctuation,
parts of its word.

- **Same**: two tokens are the same if their texts are equal without case and outer spaces. Line
  breaks are the same, however many a token holds.
- **Words, digits, punctuation** follow from characters alone, so entries of a vocabulary (`Ġthe`,
  `▁the`) count as the text that they stand for. A tokenizer that cuts words into other pieces gives
  other values.
- **Earlier tokens** exclude the query and the first token, a sink in many heads. $C$ is the pattern
  on them, with negative entries set to 0. $R$ is a set of pairs of a query $i$ and an earlier key
  $j$ ($1\le j<i$).
- **Queries**: each feature is of the queries $Q$ that have such a key. Without any, the value is 0.
- **Excess** is the share less that of a head which follows distances alone: a head that looks three
  tokens back meets commas too.
""".strip()

TOKENS = FeatureSet(
    name="tokens",
    features=tuple(_described(name) for name in NAMES),
    notes=NOTES,
    oracle="attention_motifs.features.token_definitions:token_features",
    cpu="attention_motifs.features.token_kernels:token_features",
    torch="attention_motifs.features.token_torch:token_features",
    reads_tokens=True,
)
