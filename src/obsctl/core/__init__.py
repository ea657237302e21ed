"""What every part of the program shares: findings, errors, secrets, settings, time. Knows no other room."""
