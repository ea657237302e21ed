"""Who may use the console: users, passwords, logins, sessions, and the record of their changes."""
