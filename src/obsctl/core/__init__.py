"""What every part of the program shares: findings, errors, secrets, settings, time. It imports no other package."""
