"""A patient in danger and a locked kit: recorded, judged and alarmed on the spot, sealed for the hub alone."""
