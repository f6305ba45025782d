"""Simulated glucose meters on a serial cable: second witnesses with encoders of their own."""
