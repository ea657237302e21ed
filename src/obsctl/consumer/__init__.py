"""The consumer: log lines from Kafka into the database, each exactly once.

A line passes ``stream`` (Kafka) → ``assembler`` (records into a batch, by :mod:`obsctl.lines`) → ``writer`` →
:mod:`obsctl.store`. ``unit`` runs these in worker processes under a supervisor, ``service`` is the program, and
``tools`` are for people.
"""
