"""Training and evaluation of few-shot action recognition. Usable alone; knows nothing of Ray, Optuna or MLflow."""
