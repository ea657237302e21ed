"""The consumer: log lines from Kafka into the database, each exactly once.

The way of a line, one module a step: ``reader`` (Kafka) → ``record`` (the shipper's envelope) → ``identity`` →
``formats`` (the line) → ``batch`` → ``writer`` → ``store`` (what a store promises) and ``mysql`` (how this one keeps
it). ``service`` puts them together, ``health`` tells how they do.
"""
