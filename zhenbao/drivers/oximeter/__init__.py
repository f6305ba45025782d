"""Pulse oximeters: Bluetooth Pulse Oximeter Service (1822), Nonin's own service, and the serial Contec CMS50D+."""
