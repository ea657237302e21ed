"""The consumer: log lines from Kafka into the database, each exactly once.

A line's way: ``stream`` (Kafka) → ``assembler`` (records into a batch, by :mod:`obsctl.lines`) → ``writer`` →
:mod:`obsctl.store`. ``unit`` puts these together in worker processes under a supervisor, ``service`` is the program,
``tools`` are for people.
"""
