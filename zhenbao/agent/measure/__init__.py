"""Taking readings: device, journal, analysis, alarm, record. One module a kind of reading."""
