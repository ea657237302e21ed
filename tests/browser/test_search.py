"""The search page: from a filter to lines, from a line to the next filter, kept searches and files."""

from __future__ import annotations

import csv
import datetime
import io
import json

import pytest
from selenium.webdriver.common.keys import Keys

from obsctl.core.moments import moment
from rig.browser import Browser
from rig.console import Console, password_of
from tests.browser import steps
from tests.browser.lines import ACCESS, HOSTILE, HOSTILE_STATUS, LONG, LONG_MESSAGE, LONG_STATUS, NOW, RETRIED

#: What is offered while a filter is typed.
_OFFERED = "#completions [role=option] span:first-child"


def _filter(page: Browser) -> str:
    return str(page.one("[name=filter]").get_property("value"))


def test_a_filter_is_completed_searched_and_in_the_address(page: Browser, site: Console) -> None:
    steps.search(page, site)
    page.choose("[name=since]", "6h")
    page.write("[name=filter]", "stat")
    page.wait("the field", lambda: page.texts(_OFFERED) == ["status:"])
    assert page.one("[name=filter]").get_attribute("aria-expanded") == "true"
    page.press(Keys.ARROW_DOWN, Keys.ENTER)
    assert _filter(page) == "status:"
    page.wait("all statuses", lambda: {"200", "502"} <= set(page.texts(_OFFERED)))
    page.press("50")
    begin_so = {f"50{digit}" for digit in range(10)}
    page.wait("those that begin so", lambda: {"500", "502"} <= set(page.texts(_OFFERED)) <= begin_so)
    page.all(_OFFERED)[page.texts(_OFFERED).index("502")].click()
    assert _filter(page) == "status:502 "
    page.press("AND host:node")
    page.wait("hosts of late", lambda: set(page.texts(_OFFERED)) == {"node1", "node2", "node3"})
    page.press(Keys.ESCAPE)
    assert page.one("[name=filter]").get_attribute("aria-expanded") == "false"
    page.press("1 AND bytes:<2000", Keys.ENTER)
    steps.settled(page)
    assert page.asked == {"log": "access", "filter": "status:502 AND host:node1 AND bytes:<2000", "since": "6h"}
    wanted = [line for line in ACCESS if line.status == 502 and line.host == "node1" and line.bytes < 2000]
    assert steps.found(page, "uri") == [line.uri for line in wanted]
    assert set(steps.found(page, "status")) == {"502"}
    assert page.one("#progress").text == f"{len(wanted)} lines; everything was searched"


@pytest.mark.parametrize(
    ("wrong", "mark"), [("a AND statsu:500", "      ^^^^^^"), ("status:five", "       ^^^^"), ("a AND (", "       ^")]
)
def test_a_mistake_in_a_filter_is_marked_at_its_place(page: Browser, site: Console, wrong: str, mark: str) -> None:
    steps.search(page, site)
    page.write("[name=filter]", wrong)
    page.click("#go")
    says = page.wait("the mistake", lambda: page.one("#trouble").get_property("textContent"))
    _, shown, place, *_ = str(says).split("\n")
    assert (shown, place) == (wrong, mark)
    page.write("[name=filter]", "status:502")
    page.click("#go")
    steps.settled(page)
    assert not page.one("main").find_element("id", "trouble").is_displayed()


def test_a_row_opens_to_its_fields_and_leads_to_further_searches(page: Browser, site: Console) -> None:
    steps.search(page, site, filter="status:502", since="6h")
    line = ACCESS[10]
    page.all("#lines .open")[1].click()
    fields = dict(zip(page.texts("#lines dt"), page.texts("#lines dd:not(.act)"), strict=True))
    assert fields["request_id"] == line.request_id
    assert fields["upstream_addr"] == "198.18.0.11:8080"
    assert "proxy_addr" not in fields, "what the line does not say"
    page.click("#lines button[aria-label='Only this: client_addr']")
    steps.settled(page)
    assert _filter(page) == f'status:502 AND client_addr:"{line.client_addr}"'
    assert set(steps.found(page, "client_addr")) == {line.client_addr}
    page.click("#lines .open")
    page.click("#lines button[aria-label='Not this: host']")
    steps.settled(page)
    assert set(steps.found(page, "host")) == {"node1", "node2", "node3"} - {_host_of_newest(line.client_addr)}
    page.driver.back()
    page.driver.back()
    steps.settled(page)
    assert _filter(page) == "status:502"


def _host_of_newest(client_addr: str) -> str:
    return next(line.host for line in ACCESS if line.status == 502 and line.client_addr == client_addr)


@pytest.mark.parametrize(
    ("field", "condition"),
    [
        ("upstream_addr", '(upstream_addr:"198.18.0.11:8080" AND upstream_addr:"198.18.0.12:8080")'),
        ("upstream_status", '(upstream_status:"502" AND upstream_status:"200")'),
        ("upstream_connect_time", "(upstream_connect_time:* AND NOT upstream_connect_time:>=0)"),
    ],
)
def test_only_this_and_not_this_take_a_list_by_its_entries(
    page: Browser, site: Console, field: str, condition: str
) -> None:
    asked = f"request_id:{ACCESS[RETRIED].request_id}"
    for words, uris in (("Only", [f"/item/{RETRIED}"]), ("Not", [])):
        steps.search(page, site, filter=asked, since="6h")
        page.click("#lines .open")
        page.click(f"#lines button[aria-label='{words} this: {field}']")
        page.wait("the longer filter", lambda: _filter(page) != asked)
        steps.settled(page)
        assert _filter(page) == f"{asked} AND {'NOT ' if words == 'Not' else ''}{condition}"
        assert steps.found(page, "uri") == uris


def test_not_this_keeps_an_alternative_together(page: Browser, site: Console) -> None:
    steps.search(page, site, filter="status:502 OR status:418", since="6h")
    page.click("#lines .open")
    page.click("#lines button[aria-label='Not this: status']")
    steps.settled(page)
    assert _filter(page) == "(status:502 OR status:418) AND NOT status:502"
    assert steps.found(page, "status") == [str(HOSTILE_STATUS)]


def test_around_this_shows_the_lines_of_the_same_client_before_and_after(page: Browser, site: Console) -> None:
    steps.search(page, site, filter=f'request_id:"{ACCESS[500].request_id}"', since="6h")
    page.click("#lines .open")
    page.click("#lines .act button")
    steps.settled(page)
    assert _filter(page) == f'client_addr:"{ACCESS[500].client_addr}"'
    assert page.one("[name=begin]").is_displayed()
    assert (page.asked["since"][-1], page.asked["until"][-1]) == ("Z", "Z")
    # One line of each client in a hundred seconds; the time is a minute before and after.
    assert steps.found(page, "uri") == ["/item/500"]


def test_a_drag_over_the_histogram_is_a_shorter_time(page: Browser, site: Console) -> None:
    steps.search(page, site, filter="status:502", since="6h")
    wanted = [line for line in ACCESS if line.status == 502]
    label = page.one("#histogram").get_attribute
    page.wait("all are counted", lambda: str(label("aria-label")).startswith(f"{len(wanted)} lines"))
    page.drag(page.one("#histogram .u-over"), 0.5, 0.75)
    page.wait("another time", lambda: "until" in page.asked)
    steps.settled(page)
    asked = page.asked
    assert (asked["since"][-1], asked["until"][-1]) == ("Z", "Z")
    span = (moment(asked["until"]) - moment(asked["since"])).total_seconds()
    # The lines are of a hundred minutes, and one in twenty seconds is of this status.
    assert span == pytest.approx(1500, rel=0.15)
    assert len(steps.found(page, "uri")) == pytest.approx(span / 20, abs=2)
    page.driver.back()
    page.wait("the time before", lambda: page.asked["since"] == "6h")


def test_columns_are_chosen_and_the_sql_is_shown(page: Browser, site: Console) -> None:
    steps.search(page, site, filter="status:502", since="6h")
    page.click("#columns summary")
    for box in page.all("#columns label"):
        if box.text in ("vhost", "uri"):
            box.click()
    assert page.texts("#lines th")[-1] == "vhost"
    assert steps.found(page, "uri") == []
    assert page.asked["columns"].endswith(",vhost")
    page.driver.refresh()
    steps.settled(page)
    assert set(steps.found(page, "vhost")) == {"shop.example"}
    page.click("#statement summary")
    page.wait("the SQL", lambda: "FROM `access_log`" in page.one("#statement pre").text)
    assert "502" in page.texts("#statement li")


def test_older_lines_follow_until_the_end(page: Browser, site: Console) -> None:
    steps.search(page, site, filter="status:502", since="6h")
    assert page.one("#progress").text == "100 lines; there may be older ones"
    # What is typed meanwhile belongs to the next search.
    page.write("[name=filter]", "status:200")
    for count in (200, 300):
        page.click("#older")
        page.wait(f"{count} lines", lambda count=count: len(page.all("#lines tbody tr")) == count)  # type: ignore[misc]
        steps.settled(page)
    wanted = [line.uri for line in ACCESS if line.status == 502]
    assert steps.found(page, "uri") == wanted[:300]


def test_a_search_that_waits_is_stopped(page: Browser, site: Console) -> None:
    steps.search(page, site)
    with site.rows() as cursor:
        # What a search asks for waits for this lock.
        cursor.execute("LOCK TABLES access_log WRITE")
        try:
            page.click("#go")
            page.click("#stop")
            page.wait("it has stopped", lambda: page.one("#progress").text.startswith("0 lines; stopped"))
            assert not page.run("return document.getElementById('stop').checkVisibility()")
        finally:
            cursor.execute("UNLOCK TABLES")
    page.click("#go")
    steps.settled(page)
    assert len(steps.found(page, "uri")) == 100


def test_shown_lines_are_saved_as_csv_and_as_json_lines(page: Browser, site: Console) -> None:
    steps.search(page, site, filter=f"status:{HOSTILE_STATUS} OR request_id:{ACCESS[10].request_id}", since="6h")
    assert len(steps.found(page, "uri")) == 2
    page.click("#csv")
    page.click("#ndjson")
    text = page.downloaded("lines.csv").read_bytes().decode()
    assert text.endswith("\r\n")
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    # A spreadsheet must not take it for a formula.
    assert first["uri"] == f"'{HOSTILE}"
    assert (second["uri"], second["status"], second["bytes"]) == ("/item/10", "502", "510")
    lines = [json.loads(line) for line in page.downloaded("lines.ndjson").read_text().splitlines()]
    assert [line["uri"] for line in lines] == [HOSTILE, "/item/10"]
    assert list(lines[0]) == list(first)


def test_a_search_is_kept_by_name_opened_again_and_removed(page: Browser, site: Console) -> None:
    steps.search(page, site, filter="status:502 AND host:node2", since="6h")
    page.click("#save")
    page.write("dialog [name=name]", "5xx <b>'\"")
    page.press(Keys.ENTER)
    page.wait("it is in the list", lambda: page.texts("#saved option") == ["–", "5xx <b>'\""])
    page.open("/search?log=error")
    steps.settled(page)
    page.choose("#saved", "0")
    steps.settled(page)
    assert page.asked == {"log": "access", "filter": "status:502 AND host:node2", "since": "6h"}
    assert set(steps.found(page, "host")) == {"node2"}
    page.click("#remove")
    page.wait("it is gone", lambda: page.texts("#saved option") == ["–"])


def test_a_dialog_that_is_left_keeps_nothing(page: Browser, site: Console) -> None:
    steps.search(page, site)
    for leave in (lambda: page.press(Keys.ESCAPE), lambda: page.click("dialog button[value=cancel]")):
        page.click("#save")
        page.write("dialog [name=name]", "unwanted")
        leave()
        page.wait("the dialog is closed", lambda: not page.run("return document.getElementById('keep').open"))
    assert site.logged_in().get(f"{site.url}/v1/queries", timeout=10).json() == []


def test_a_search_that_another_person_shares_is_seen_and_stays_theirs(page: Browser, site: Console) -> None:
    steps.search(page, site, "olga", filter="status:502", since="6h")
    page.click("#save")
    page.write("dialog [name=name]", "night shift")
    page.click("dialog [name=shared]")
    page.click("dialog button[value=save]")
    page.wait("it is kept", lambda: "night shift" in page.texts("#saved option"))

    steps.search(page, site, "vera")
    page.wait("it is seen", lambda: page.texts("#saved option") == ["–", "night shift (by olga)"])
    page.choose("#saved", "0")
    steps.settled(page)
    assert page.asked["filter"] == "status:502"
    assert not page.run("return document.getElementById('remove').checkVisibility()")
    # Not through the page's back door either.
    forced = page.driver.execute_async_script(
        "fetch('/v1/queries/night%20shift', {method: 'DELETE', headers: {'x-csrf-token':"
        " document.querySelector('meta[name=csrf]').content}}).then((answer) => arguments[0](answer.status))"
    )
    assert forced == 404
    assert [one["name"] for one in site.logged_in("olga").get(f"{site.url}/v1/queries", timeout=10).json()] == [
        "night shift"
    ]


@pytest.mark.parametrize(
    ("address", "newest"),
    [
        ("since=2h&filter=status:502", 0),
        (f"since=90m&until={NOW - datetime.timedelta(seconds=1799):%Y-%m-%dT%H:%M:%SZ}&filter=status:502", 900),
        ("since=2000-01-01", 0),
    ],
    # Each process that runs tests has its own NOW, and all must know the same tests.
    ids=["an age", "an age and an end", "a date"],
)
def test_an_address_of_any_time_range_is_kept_as_it_is(page: Browser, site: Console, address: str, newest: int) -> None:
    steps.opened(page, site, f"/search?{address}")
    assert steps.found(page, "uri")[0] == f"/item/{newest}"
    page.click("#go")
    steps.settled(page)
    assert steps.found(page, "uri")[0] == f"/item/{newest}"


def test_a_time_keeps_its_offset_until_its_field_is_changed(page: Browser, site: Console) -> None:
    # What the field shows means two moments in the hour that autumn repeats.
    asked = {"since": "2001-10-28T00:30:00Z", "until": "2001-10-28T03:30:00+02:00"}
    steps.search(page, site, **asked)
    assert page.one("[name=until]").get_property("value") == "2001-10-28T01:30"
    page.click("#go")
    steps.settled(page)
    assert (page.asked["since"], page.asked["until"]) == tuple(asked.values())
    page.run("document.querySelector('[name=begin]').value = '2001-10-28T00:45'")
    page.click("#go")
    steps.settled(page)
    assert (page.asked["since"], page.asked["until"]) == ("2001-10-28T00:45", asked["until"])


def test_what_an_attacker_sends_is_text_and_nothing_else(page: Browser, site: Console) -> None:
    for log, filter_, column, wanted in (
        ("access", f"status:{HOSTILE_STATUS}", "uri", HOSTILE),
        ("error", "message:*script*", "message", HOSTILE),
        ("access", f"status:{LONG_STATUS}", "uri", LONG),
        ("error", "message:*header*", "message", LONG_MESSAGE),
    ):
        steps.search(page, site, log=log, filter=filter_, since="6h")
        (shown,) = steps.found(page, column)
        assert shown == (wanted if len(wanted) < 500 else f"{wanted[:500]}…")
        page.click("#lines .open")
        fields = dict(zip(page.texts("#lines dt"), page.texts("#lines dd:not(.act)"), strict=True))
        assert fields[column] == wanted
        assert page.all("main script, main img, main b") == []
        assert page.driver.title == "Search · ObsCraft"
        if len(wanted) < 1000:
            page.click(f"#lines button[aria-label='Only this: {column}']")
            steps.settled(page)
            assert steps.found(page, column) == [wanted]


def test_the_keyboard_alone_is_enough(page: Browser) -> None:
    page.open("/search?filter=status%3A502&since=6h")
    # The cursor stands in the first field.
    page.press("vera", Keys.TAB, password_of("vera"), Keys.ENTER)
    page.wait("the search", lambda: page.path == "/search")
    steps.settled(page)
    page.tab_to(".skip")
    page.press(Keys.ENTER)
    page.tab_to("[name=filter]")
    page.press(Keys.END, " AND host:node1", Keys.ENTER)
    steps.settled(page)
    assert set(steps.found(page, "host")) == {"node1"}
    page.tab_to("#lines .open")
    page.press(Keys.ENTER)
    assert page.one("#lines .open").get_attribute("aria-expanded") == "true"
    page.tab_to("button[aria-label='Only this: client_addr']")
    page.press(Keys.SPACE)
    steps.settled(page)
    assert "client_addr" in page.asked["filter"]
