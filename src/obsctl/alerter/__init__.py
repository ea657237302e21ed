"""The alerter: lines in, one message when a condition starts and one when it has ended.

``config`` reads alerter.yml, ``events`` turns Kafka records into what rules look at, ``window`` counts, ``rules``
judge, ``engine`` decides what starts and ends, ``clock`` says how far event time has come, ``state`` and ``outbox``
keep everything in one SQLite file, ``channels`` deliver, ``service`` runs it all.
"""
