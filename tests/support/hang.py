"""When a wait is given up: long after any machine, however busy, is through, for then something hangs."""

HANG = 900.0  # seconds
