"""What every part of the program shares: findings, errors, secrets, settings, time. Imports no other package."""
