"""Operations by a person: replay quarantined lines, reset a position."""
