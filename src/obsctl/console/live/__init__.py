"""Lines as they arrive in Kafka, without the database: one reader for each topic, fanned out to tails and statistics.

:mod:`~obsctl.console.live.feed` reads; :mod:`~obsctl.console.live.tails` filters for each watcher, and
:mod:`~obsctl.console.live.statistics` counts in bounded memory with :mod:`~obsctl.console.live.frequent`.
:mod:`~obsctl.console.live.redis_keys` writes what was counted to a Redis where one is configured.
"""
