"""The sweeps that are handed to ``ray submit``, and the engine behind them. Nothing imports this package."""
