"""What is stored and how: batches, roll-ups, the quarantine, and the one store there is (``mysql``)."""
