"""Contec SP10, SP70B and SP80B spirometers over serial. UNVERIFIED: one foreign program is the only source."""
