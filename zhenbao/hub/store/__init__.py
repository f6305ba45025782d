"""The hub's database."""

from zhenbao.hub.store.hub_store import Counters, HubStore, Quarantined

__all__ = ["Counters", "HubStore", "Quarantined"]
