"""What the alerters decided and the results: records in a Kafka topic, for later questions.

:mod:`~obsctl.alerter.history.records` describes them. Each is written in the transaction of Kafka that writes what it
reports (:mod:`obsctl.alerter.state.changelog`), so the topic holds it exactly once.
"""
