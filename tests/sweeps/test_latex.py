"""Tables for papers: what LaTeX would choke on, and what fits a page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from search_spaces.table import Table
from sweeps.engine.latex import latex
from sweeps.engine.latex_text import escape_latex
from sweeps.engine.records import Store
from tests.sweeps.made_records import ratio_table, small_table
from tests.sweeps.made_tables import HOSTILE, complete, results, unfinished, wide

FOUR = ("HMDB51", "UCF101", "Kinetics", "SSv2-Small")
NOTES = ("50% of_what & \\why {", "A second note.")
TABLES = pytest.mark.parametrize(
    "table",
    [
        small_table(printed_on="motionshapes"),
        ratio_table(),
        wide(HOSTILE, 3).model_copy(update={"notes": NOTES, "title": "T_1 & [x] 5% {"}),
        wide([f"row {i}" for i in range(12)], 5),
        wide(["a", "b"], 1, printed_on=FOUR),
    ],
    ids=["small", "ratio", "hostile", "wide", "several printed"],
)


def check_balance(text: str) -> None:
    """Braces and environments nest, and every row has as many places as the preamble."""
    bare = re.sub(r"(?m)(?<!\\)%.*$", "", text)
    bare = re.sub(r"\\[\\{}$&#%_]", "", bare.replace(r"\\", "\n"))
    depth = 0
    for letter in bare:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[#~]", bare)
    open_now: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", text):
        assert kind == "begin" or open_now.pop() == name
        open_now += [name] if kind == "begin" else []
    assert open_now == []


def check_columns(text: str) -> int:
    """The widest tabular."""
    inner = re.sub(r"(?s)\\begin\{tabular\}\[.\].*?\\end\{tabular\}", "nested", text)
    found = re.findall(r"(?s)\\begin\{tabular\}\{(l|p\{\d+pt\})(r+)\}(.*?)\\end\{tabular\}", inner)
    assert found
    for _, numbers, body in found:
        rows = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert len(rows) > 2
        for row in rows:
            spans = sum(int(count) - 1 for count in re.findall(r"\\multicolumn\{(\d+)\}", row))
            assert len(re.findall(r"(?<!\\)&", row)) + spans == len(numbers), row
    return max(len(numbers) for _, numbers, _ in found)


@TABLES
def test_braces_environments_and_columns_are_in_order(store: Store, table: Table) -> None:
    for result in (results(table, store), unfinished(table, store), complete(table, store)):
        text = latex(result)
        check_balance(text)
        assert check_columns(text) <= 9


@TABLES
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex; the checks of balance stand in for it")
def test_pdflatex_takes_it_without_a_word(store: Store, table: Table, tmp_path: Path) -> None:
    head = r"\documentclass[twocolumn]{article}\usepackage{booktabs}\textwidth496pt\columnwidth237pt\textheight650pt"
    (tmp_path / "table.tex").write_text(f"{head}\\begin{{document}}\n{latex(complete(table, store))}\\end{{document}}")
    command = ["pdflatex", "-draftmode", "-halt-on-error", "-interaction=nonstopmode", "table.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert "Overfull" not in ended.stdout
    assert "too large" not in ended.stdout


def test_wide_tables_are_stacked_and_every_row_is_in_each(store: Store) -> None:
    text = latex(results(wide([f"row {i}" for i in range(20)], 8), store))
    assert text.count(r"\toprule") == text.count(r"\bottomrule") > 2
    assert text.count("\n{}row 19 &") == text.count(r"\toprule")
    assert text.count("(continued)") == text.count(r"\begin{table*}") - 1
    assert text.count(r"\label{") == 1


def test_a_small_table_fits_one_column_of_text(store: Store) -> None:
    text = latex(complete(small_table(reference=None), store))
    assert text.count(r"\begin{table}") == 1
    assert r"\begin{table*}" not in text


def test_printed_values_of_several_data_sets_stand_below_each_other(store: Store) -> None:
    text = latex(complete(wide(["a", "b"], 1, printed_on=FOUR), store))
    assert r"[HMDB51]\\{}44.00 [UCF101]\\{}" in text


def test_significant_differences_are_starred_and_the_star_is_explained(store: Store) -> None:
    text = latex(complete(wide(["worst", *"bcdefghijk"], 1), store))
    starred = re.findall(r"\d\*", text)
    assert starred
    assert "* marks those with p $<$ 0.05" in text
    assert "* marks" not in latex(results(wide(["worst", "b"], 1), store, (7,)))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\textbar{}b"),
        ("é ø Ł", "é ø Ł"),
        ("∈\x07", "[U+2208][U+0007]"),
        ("e\u0301", "é"),
        ("λ ≥ 0.5\n±", r"$\lambda$ $\geq$ 0.5 $\pm$"),
    ],
)
def test_every_letter_is_one_that_pdflatex_has(text: str, escaped: str) -> None:
    assert escape_latex(text) == escaped
