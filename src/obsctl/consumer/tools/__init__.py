"""What a person does to the store: replay lines of the quarantine, move a position."""
