"""What is stored and how: batches, roll-ups, the quarantine, and the only store (``mysql``)."""
