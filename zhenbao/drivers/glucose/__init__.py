"""Blood glucose meters (Bluetooth Glucose Service, 1808)."""
