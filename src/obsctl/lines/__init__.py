"""Log lines: the shipper's record, the line's identity, its formats, the client's address."""
