"""Arrays in, findings out: no input or output here."""
