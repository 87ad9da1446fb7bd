"""What /metrics says, for tests to look things up in."""

import asyncio
from collections.abc import Callable

import aiohttp
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

PATIENCE = 60.0


class Scrape:
    """One answer."""

    def __init__(self, text: str) -> None:
        self.families: list[Metric] = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def all(self, name: str, **labels: str) -> list[float]:
        """Give the values of the series that have these labels among theirs."""
        return [
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def sum(self, name: str, **labels: str) -> float:
        """Sum them, 0 where there are none."""
        return sum(self.all(name, **labels))

    def names_of(self, name: str, label: str) -> set[str]:
        """Give the values of a label."""
        return {sample.labels[label] for sample in self.samples if sample.name == name and label in sample.labels}


async def scrape(url: str) -> Scrape:
    """Ask once."""
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        return Scrape(await answer.text())


async def scrape_until(url: str, holds: Callable[[Scrape], object]) -> Scrape:
    """Ask until it is as it should be."""
    async with asyncio.timeout(PATIENCE):
        while not holds(found := await scrape(url)):  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(0.1)
    return found
