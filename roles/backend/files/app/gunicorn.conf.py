"""What does not belong on gunicorn's command line: settings that older releases do not know are ignored here."""

# From release 25: a socket in the home directory, which is read-only. systemd is the one way to control the service.
control_socket_disable = True
