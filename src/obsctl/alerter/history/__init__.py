"""What the alerters decided and what became of it: records in a topic of Kafka, for questions that come later.

:mod:`~obsctl.alerter.history.records` describes them. Each is written in the transaction of Kafka that writes what it
reports (:mod:`obsctl.alerter.changelog`), so the topic holds it exactly once.
"""
