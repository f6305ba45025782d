"""The ECG side of the kit's sensor front-end."""
