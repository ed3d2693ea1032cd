"""Floor 2: the time-step-size Taylor table, one rule for each operation and every ring."""
