"""The threads that send: a sender for each channel, the heartbeat, and the notices of an alerter that cannot work.

What a channel is and how it sends stands in :mod:`obsctl.alerter.channels`; messages wait for a sender in
:mod:`obsctl.alerter.state.outbox`.
"""
