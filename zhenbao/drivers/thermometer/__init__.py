"""Clinical thermometers (Bluetooth Health Thermometer Service, 1809)."""
