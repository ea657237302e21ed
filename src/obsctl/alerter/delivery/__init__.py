"""The threads that send: a sender for each channel, the heartbeat, and the notices of an alerter that cannot work.

:mod:`obsctl.alerter.channels` says what a channel is and how it sends; messages wait for a sender in
:mod:`obsctl.alerter.state.outbox`.
"""
