"""One mailbox used back to back: the kit's outbox is the hub's inbox, and the other way round."""
