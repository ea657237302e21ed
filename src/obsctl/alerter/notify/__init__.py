"""The steps from an alert to the messages about it: a list of stages, each a module of its own.

:mod:`~obsctl.alerter.notify.stages` holds the list and runs it. What the stages remember is in
:mod:`~obsctl.alerter.notify.memory`, what alerter.yml says about them in :mod:`~obsctl.alerter.notify.options`.
docs/reference/notifications.md describes them for people.
"""
