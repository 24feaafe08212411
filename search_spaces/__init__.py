"""What can be asked for: the papers' tables and free spaces, as functions that give configurations. Trains nothing."""
