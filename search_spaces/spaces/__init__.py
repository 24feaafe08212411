"""One module per question: ``grid`` gives its table, ``space`` a point of the free search."""
