"""The alerter: lines in, one message when a condition starts and one when it has ended.

``config`` reads alerter.yml. ``probe`` asks the cluster which log the topic is, ``source`` reads its records, and
``reading`` decides which log is read and from where. ``lines`` turns records into ``events``, ``window`` counts them,
``rules`` judge, ``engine`` decides what starts and ends, ``clock`` says how far event time has come, ``state`` and
``outbox`` keep everything in one SQLite file, ``sender`` and ``channels`` deliver, ``service`` runs it all.
"""
