"""What the outcomes of test episodes say about rows of a table, and what they leave open. Accuracies are fractions.

``outcomes`` what a row got right, ``intervals`` accuracy and paired difference, ``comparisons`` Holm's correction,
``reproduction`` the verdict on a printed value, ``agreement`` the order of rows, ``bootstrap`` resampling as a check.
Coverage, false verdicts and power, as measured: ``benchmarks/intervals.md``.
"""
