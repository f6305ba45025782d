"""ProtoCentral HealthyPi 5 (and v4) over USB serial: ECG of one channel."""
