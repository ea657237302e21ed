"""The texts of messages about alerts: pure; notifications in, texts out.

:mod:`~obsctl.alerter.messages.message` puts a message together, from the templates that
:mod:`~obsctl.alerter.messages.templates` reads with the variables of
:mod:`~obsctl.alerter.messages.template_variables`; :mod:`~obsctl.alerter.messages.commands` makes the commands in it,
and :mod:`~obsctl.alerter.messages.printable` makes texts chosen by clients safe to show.
"""
