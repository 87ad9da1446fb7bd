"""Every alert and every dashboard asks for what a scrape really has, and every alert has its page in docs/alerts.md."""

import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, StartPosition
from payments_service.contract.pb.payments.v1.operations_pb2 import CreateSubscriberRequest
from payments_service.contract.pb.payments.v1.subscriber_pb2 import Subscriber
from payments_service.monitoring.worker_merge import WorkerProcesses, open_worker_metrics

from .alert_rules import DEPLOY, TARGET_LABELS, Alert, Selected, read_alerts, read_panels, selections
from .scrape import Scrape, scrape_until
from .shop import open_shop, settings_in

DOCS = DEPLOY.parent.parent / "docs"
ALERTS = read_alerts()
PANELS = read_panels()
NAMES = [alert.name for alert in ALERTS]
OF_PROMETHEUS = frozenset({"up"})
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scrape]:
    """Give a scrape of all that a process does, behind a worker's supervisor, while a stream is open."""
    settings = settings_in(tmp_path_factory.mktemp("shop"), metrics_address="127.0.0.1:0")
    processes = WorkerProcesses(1)
    async with open_shop(settings) as shop, open_worker_metrics("127.0.0.1:0", processes) as url:
        processes.began(0, shop.running.metrics_url)
        subscriber = Subscriber(subscriber="course-service")
        start = StartPosition(earliest=True)
        await shop.operations.CreateSubscriber(CreateSubscriberRequest(subscriber=subscriber, start=start))
        async with shop.subscribed() as subscription:
            await shop.buyer(order := await shop.checkout())
            await subscription.of(order, FulfillmentEvent.TYPE_FULFILLED)
            yield await scrape_until(
                url, lambda seen: len(seen.names_of("payments_duty_rounds_total", "duty")) == 7 and has_sold(seen)
            )


def has_sold(seen: Scrape) -> float:
    return seen.sum("payments_events_settled_total", verdict="APPLIED")


def unknown(selected: Selected, seen: Scrape) -> list[str]:
    """Name what of a selection no series has."""
    if selected.metric in OF_PROMETHEUS:
        return []
    series = [sample.labels for sample in seen.samples if sample.name == selected.metric]
    asked = [matcher for matcher in selected.matchers if matcher.label not in TARGET_LABELS]
    missing = [f"{each.label} like {each.pattern.pattern!r}" for each in asked if not any(map(each.holds, series))]
    missing += [label for label in selected.grouping - TARGET_LABELS if not all(label in each for each in series)]
    return missing if series else [selected.metric]


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_asks_for_metrics_labels_and_values_that_exist(alert: Alert, everything: Scrape) -> None:
    selected = selections(alert.expression)

    assert selected
    assert {each.metric: unknown(each, everything) for each in selected} == {each.metric: [] for each in selected}


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_of_the_dashboard_asks_for_what_exists(title: str, everything: Scrape) -> None:
    selected = [each for expression in PANELS[title] for each in selections(expression)]

    assert {each.metric: unknown(each, everything) for each in selected} == {each.metric: [] for each in selected}


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_says_how_bad_it_is_and_what_has_happened(alert: Alert) -> None:
    assert alert.severity in {"critical", "warning"}
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert alert.has_duration or "increase(" in alert.expression or "changes(" in alert.expression


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    pages = re.findall(r"^### (\w+)$", (DOCS / "alerts.md").read_text(), re.MULTILINE)

    assert len(set(NAMES)) == len(NAMES)
    assert pages == NAMES
    assert [alert.annotations["runbook_url"] for alert in ALERTS] == [
        f"docs/alerts.md#{name.lower()}" for name in NAMES
    ]


def test_a_page_says_what_it_means_what_to_look_at_what_to_do_and_when_it_is_harmless() -> None:
    for page in (DOCS / "alerts.md").read_text().split("\n### ")[1:]:
        name = page.partition("\n")[0]
        assert re.findall(r"^\*\*(\w+):\*\*", page, re.MULTILINE) == ["Means", "Look", "Do", "Harmless"], name


def test_pages_name_metrics_that_exist(everything: Scrape) -> None:
    named = set(re.findall(r"`((?:payments|process|grpc)_[a-z_]+)", (DOCS / "alerts.md").read_text()))

    known = {sample.name for sample in everything.samples} | {family.name for family in everything.families}
    assert named - known == set()


def test_the_table_of_metrics_is_what_a_scrape_has(everything: Scrape) -> None:
    table = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in _ROW.findall((DOCS / "metrics.md").read_text())
    }
    scraped = {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"place", "le"},
        )
        for family in everything.families
        if not family.name.startswith(("process_", "python_"))
    }

    assert table == scraped


@pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool (Debian's package prometheus) is not installed",
)
def test_by_prometheus_own_tool_the_rules_fire_when_they_should_and_only_then() -> None:
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        checked = subprocess.run(["promtool", *command], cwd=DEPLOY, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
