"""Polar H10 chest strap: ECG over its measurement data service, beat intervals over the Heart Rate Service (180D)."""
