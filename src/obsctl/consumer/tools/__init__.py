"""Operations for people: replay quarantined lines, reset a position."""
