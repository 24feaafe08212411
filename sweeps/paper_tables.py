"""The ablation tables of the four papers, run again by name; the same as `fsar run`, for `ray submit`.

Each training and each evaluation is done once, whichever tables ask for it, and what is recorded is not done again.
545 accuracies of 373 trainings in all; `fsar plan` says what a selection costs on the site.

  python sweeps/paper_tables.py sgtm/table5 --dataset motionshapes       six trainings a seed, minutes on two cores
  python sweeps/paper_tables.py --all --dataset motionshapes --site laptop-tiny    a rehearsal of everything
  ray submit cluster/aws.yaml sweeps/paper_tables.py -- sgtm vim/table4 --site cluster --seeds 3
"""

import typer

from sweeps.engine.paper_cli import run

if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=__doc__)(run)
    app()
