"""The alerter's memory: one SQLite file, and the compacted topic of Kafka that it is a copy of.

:mod:`~obsctl.alerter.state.state_file` holds windows, positions, alerts and what the stages remember;
:mod:`~obsctl.alerter.state.outbox` are the tables of messages on their way, written in the same transactions, and
:mod:`~obsctl.alerter.state.pacing` those of when a channel may send.
:mod:`~obsctl.alerter.state.transaction` spans file and topic: :mod:`~obsctl.alerter.state.rows` sees what it changed,
and :mod:`~obsctl.alerter.state.changelog` writes that to the topic first. :mod:`~obsctl.alerter.state.standing` reads
the alerts out of it for people.
"""
