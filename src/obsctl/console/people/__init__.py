"""Who may use the console: users, passwords, logins, sessions, and the record of what they changed."""
