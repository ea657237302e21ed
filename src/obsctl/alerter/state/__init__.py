"""The alerter's state: one SQLite file, which is a copy of a compacted topic in Kafka.

:mod:`~obsctl.alerter.state.state_file` holds windows, positions, alerts and what the stages remember;
:mod:`~obsctl.alerter.state.outbox` holds the tables of undelivered messages, written in the same transactions, and
:mod:`~obsctl.alerter.state.pacing` those that say when a channel may send. :mod:`~obsctl.alerter.state.transaction`
makes transactions over file and topic: :mod:`~obsctl.alerter.state.rows` finds what a transaction changed, and
:mod:`~obsctl.alerter.state.changelog` writes that to the topic first. :mod:`~obsctl.alerter.state.standing` extracts
the alerts for people.
"""
