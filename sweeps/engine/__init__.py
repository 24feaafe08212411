"""Plan, trainable, grid, search, tracking and report: wires Ray, Optuna and MLflow to the core."""
