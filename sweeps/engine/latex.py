"""A table for a paper."""

import re

from sweeps.engine.protocol import protocol
from sweeps.engine.report import Entry, grid, places
from sweeps.engine.results import TableResult

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "η": "eta", "θ": "theta", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "ν": "nu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ψ": "psi",
    "ω": "omega",
}  # fmt: skip
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "±": r"$\pm$", "−": "$-$", "×": r"$\times$", "≥": r"$\geq$",
    "≤": r"$\leq$", "→": r"$\rightarrow$", "<": r"$<$", ">": r"$>$", "“": "``", "”": "''", "–": "--", "·": r"$\cdot$",
    "†": r"$^\dagger$", "‡": r"$^\ddagger$",
    **{letter: f"$\\{name}$" for letter, name in _GREEK.items()},
}  # fmt: skip


def latex(result: TableResult) -> str:
    """A ``table`` for booktabs: best bold, second best underlined, the protocol below. Every text is escaped."""
    words = grid(result)
    widths = [len(column.headings()) for column in words.columns]
    starts = [2 + sum(widths[:i]) for i in range(len(widths))]
    spans = [rf"\multicolumn{{{w}}}{{c}}{{{escape_latex(c.name)}}}" for w, c in zip(widths, words.columns, strict=True)]
    rules = [rf"\cmidrule(lr){{{start}-{start + width - 1}}}" for start, width in zip(starts, widths, strict=True)]
    marks = {"best": r"\textbf{%s}", "second": r"\underline{%s}", None: "%s"}

    def ours(entry: Entry) -> str:
        return marks[entry.rank].replace("%s", escape_latex(entry.value)) + escape_latex(entry.spread)

    heads = ["", *(escape_latex(heading) for column in words.columns for heading in column.headings())]
    body = [
        " & ".join([escape_latex(r), *places(words, entries, ours, escape_latex, "--")]) + r" \\"
        for r, entries in words.rows
    ]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{escape_latex(words.title)}}}",
            rf"\begin{{tabular}}{{l{'r' * sum(widths)}}}",
            r"\toprule",
            " & ".join(["", *spans]) + r" \\",
            " ".join(rules),
            " & ".join(heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip\parbox{\linewidth}{\footnotesize",
            *(escape_latex(line) for line in protocol(result)),
            "}",
            r"\end{table}",
            "",
        ]
    )


def escape_latex(text: str) -> str:
    """Special characters, typographic marks and Greek letters become commands."""
    return "".join(_LATEX.get(letter, letter) for letter in re.sub(r"\s+", " ", text))
