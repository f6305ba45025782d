"""Simulated devices: a second witness beside the drivers.

Everything here is written from the devices' documents, with encoders and truths of its own; nothing of ``drivers`` or
``signal`` is imported. A device does what its document says unless a fault switch says otherwise.
"""
