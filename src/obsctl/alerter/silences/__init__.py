"""The silences of people in Kafka: the compacted topic that commands write, and the thread that follows it.

What a silence is and what it holds back is decided in :mod:`obsctl.alerter.notify`.
"""
