"""The road from the kit to the hub: what it is, whether the hub answers on it, and what may go over it."""
