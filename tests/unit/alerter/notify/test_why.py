"""Why an alert was sent, is waiting, or was not sent."""

from __future__ import annotations

from obsctl.alerter.notify.silences import Silence
from obsctl.alerter.notify.why import why
from tests.unit.alerter.notify.world import T, World, route


def test_each_place_of_an_alert_has_a_name() -> None:
    world = World(route(), for_s={"errors": 30})
    world.silences = (
        Silence(id="s1", filter="client_addr:192.0.2.9", starts=T, ends=T + 600, author="li", reason="-", created=T),
    )
    silenced, held = world.start("192.0.2.9"), world.start("192.0.2.1", rule="errors")
    sent = world.start("192.0.2.1")
    world.run(2)
    waiting = world.start("192.0.2.2")
    world.run(0.4)
    memory = world.notifier.memory

    def stage(incident: str) -> tuple[str, str, bool]:
        (found,) = why(memory, incident)
        return found.stage, found.cause, found.reported

    assert stage(silenced.incident) == ("silence", "s1", False)
    assert stage(held.incident) == ("for", "30 s", False)
    assert stage(sent.incident) == ("", "", True)
    assert stage(waiting.incident) == ("group", "", False)
    (found,) = why(memory, waiting.incident)
    assert (found.since, found.notifications) == (T + 2.2, 1)
    assert T + 60 <= found.next_at <= T + 62
    assert why(memory, "none") == []
