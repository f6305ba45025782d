"""Blood pressure cuffs (Bluetooth Blood Pressure Service, 1810)."""
