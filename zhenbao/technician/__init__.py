"""The field technician: setting a kit up, pairing its devices, writing the front-end's settings. Sees no patient."""
