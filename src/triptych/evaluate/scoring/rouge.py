"""ROUGE-L: the longest common subsequence of a caption and its references.

Formula: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004, with β = 1.2 and the best precision
and the best recall over the references, as `pycocoevalcap` computes it (equal to it within 1e-6, tested).
"""

from __future__ import annotations

from collections.abc import Sequence

BETA = 1.2


def rouge_l(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """ROUGE-L (0 to 1) of one tokenised caption.

    Raises:
        ValueError: There is no reference.
    """
    if not references:
        raise ValueError("ROUGE-L needs at least one reference caption")
    words = list(candidate) or [""]  # the official code splits at single spaces: nothing is one empty word
    others = [list(reference) or [""] for reference in references]
    common = [_longest_common_subsequence(words, reference) for reference in others]
    precision = max(length / len(words) for length in common)
    recall = max(length / len(reference) for length, reference in zip(common, others, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    row = [0] * (len(b) + 1)
    for word in a:
        diagonal = 0
        for j, other in enumerate(b, start=1):
            above = row[j]
            row[j] = diagonal + 1 if word == other else max(above, row[j - 1])
            diagonal = above
    return row[-1]
