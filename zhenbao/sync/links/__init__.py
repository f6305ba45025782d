"""Roads between a kit and the hub."""
