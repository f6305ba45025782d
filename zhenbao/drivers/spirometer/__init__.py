"""The spirometer side of the kit's sensor front-end."""
