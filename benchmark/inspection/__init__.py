"""Looking inside a trained policy: its dynamics, what it attends to, and how far back its decisions reach."""
