"""The chest-pain channel: instants of a case from every clock, targets, what people write down, figures of a month."""
