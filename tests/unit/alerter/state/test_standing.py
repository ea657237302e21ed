"""The alerts of the state, as people see them."""

from __future__ import annotations

from pathlib import Path

from obsctl.alerter.notify.of_rules import notification_plan
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.silences import Silence
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.state import rows
from obsctl.alerter.state.standing import standing
from obsctl.alerter.state.state_file import State
from tests.unit.alerter.builders import T, engine, event, rate


def test_the_alerts_are_shown_with_what_holds_them_back(tmp_path: Path) -> None:
    rule = rate(2, hold_s=30)
    machine, state = engine(rule), State(tmp_path / "state.db")
    notifier = Notifier(notification_plan(NotifyOptions(), (rule,), ["robot"]))
    silence = Silence(
        id="s1", filter="client_addr:192.0.2.1", starts=T, ends=T + 900, author="li", reason="x", created=T
    )
    for second, client in ((0, "192.0.2.1"), (1, "192.0.2.2"), (2, "192.0.2.3")):
        changed = machine.feed([event(second, client=client), event(second + 0.5, client=client)], T + second + 1)
        notifier.turn([one.alert for one in changed], machine.firing, T + second + 1, silences=(silence,))
    over = machine.tick(T + 93, T + 93)
    notifier.turn([one.alert for one in over], machine.firing, T + 93, silences=(silence,))
    changed = machine.feed([event(93, client="192.0.2.9"), event(93.5, client="192.0.2.9")], T + 94)
    notifier.turn([one.alert for one in changed], machine.firing, T + 94, silences=(silence,))
    state.save(machine.take_changes(), notifier.take_changes(), [], [], T + 94)
    found = standing(rows.all_rows(state._connection))
    assert found[0].alert.labels == {"client_addr": "192.0.2.9"}
    shown = {one.alert.labels["client_addr"]: one for one in found}
    assert [(route.stage, route.reported) for route in shown["192.0.2.9"].routes] == [("", True)]
    assert [(route.stage, route.cause) for route in shown["192.0.2.1"].routes] == [("silence", "s1")]
    assert [route.reported for route in shown["192.0.2.1"].routes] == [False]
    assert standing([]) == []
