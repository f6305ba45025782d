"""Files of others, read into values."""
