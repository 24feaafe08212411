"""Text for LaTeX: nothing of a name acts as a command, and pdfLaTeX has every letter."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Literal

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "η": "eta", "θ": "theta", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "ν": "nu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ψ": "psi",
    "ω": "omega", "Δ": "Delta", "Σ": "Sigma", "Ω": "Omega",
}  # fmt: skip
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "|": r"\textbar{}", "±": r"$\pm$", "−": "$-$",
    "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\rightarrow$", "<": r"$<$", ">": r"$>$", "“": "``",
    "”": "''", "‘": "`", "’": "'", "–": "--", "—": "---", "…": r"\ldots{}", "·": r"$\cdot$", "†": r"$^\dagger$",
    "‡": r"$^\ddagger$", "✓": r"$\surd$", "²": "$^2$", "°": r"$^\circ$",
    **{letter: f"$\\{name}$" for letter, name in _GREEK.items()},
}  # fmt: skip
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327\u0328"
_LETTERS = "øØæÆœŒßłŁı"


def escape_latex(text: str) -> str:
    """Special characters, typographic marks and Greek letters become commands, unknown characters their number."""
    return "".join(map(_escaped, unicodedata.normalize("NFC", re.sub(r"\s+", " ", text))))


def stacked(lines: Sequence[str], side: Literal["t", "b"] = "t") -> str:
    """Escaped, one above the other, flush right; the first or the last in line with the rest of the row."""
    above = r"\\{}".join(map(escape_latex, lines))
    return above if len(lines) == 1 else rf"\begin{{tabular}}[{side}]{{@{{}}r@{{}}}}{above}\end{{tabular}}"


def wrapped(text: str, letters: int) -> list[str]:
    """At most three lines of at most so many letters; one empty line of nothing."""
    return textwrap.wrap(text, letters, max_lines=3, placeholder=" …") or [""]


def _escaped(letter: str) -> str:
    if letter in _LATEX:
        return _LATEX[letter]
    base, *accents = unicodedata.normalize("NFD", letter)
    known = base.isascii() and base.isprintable() and all(accent in _ACCENTS for accent in accents)
    return letter if known or letter in _LETTERS else f"[U+{ord(letter):04X}]"
