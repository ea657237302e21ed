"""The consumer: log lines from Kafka into the database, each exactly once.

The way of a line, one module a step: ``reader`` (Kafka) → ``record`` (the shipper's envelope) → ``identity`` →
``formats`` (the line) → ``batch`` → ``writer`` → ``store`` (what a store promises) and ``mysql`` (how this one keeps
it). A ``worker`` puts them together. ``service`` is the unit's program, its ``supervisor`` runs the workers (each a
``child``), and ``health`` shows the ``overview`` of how they do.
"""
