"""``python -m sweeps`` is ``fsar``, for where the package is not installed."""

from sweeps.engine.fsar import app

if __name__ == "__main__":
    app(prog_name="fsar")
