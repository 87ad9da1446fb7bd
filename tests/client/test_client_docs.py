"""What the documents show is run as it stands there, against the whole service."""

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from acceptance.shop import Shop, open_shop, settings_in

from .example_process import ROOT, SCRIPTS, running

CONSUMING = ROOT / "docs" / "consuming.md"
README = ROOT / "README.md"
CLIENT = ROOT / "clients" / "python" / "README.md"
WRITTEN = [README, CONSUMING, CLIENT, *sorted((ROOT / "examples").glob("*/README.md"))]
ADDRESS = "127.0.0.1:50051"


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(tmp_path)) as opened:
        yield opened


async def test_the_python_of_consuming_follows_the_stream(shop: Shop, tmp_path: Path) -> None:
    (program,) = blocks(CONSUMING, "python")
    (tmp_path / "program.py").write_text(program)
    order = await shop.checkout()
    await shop.buyer(order)

    target = {"PAYMENTS_TARGET": shop.running.grpc_address}
    async with running([sys.executable, tmp_path / "program.py"], target) as example:
        await example.until(f"FULFILLED {order.order_id} [0-9a-f]+")


@pytest.mark.parametrize("document", [README, CLIENT], ids=lambda path: str(path.relative_to(ROOT)))
async def test_the_first_python_of_a_readme_sells(document: Path, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(blocks(document, "python")[0])

    target = {"PAYMENTS_TARGET": shop.running.grpc_address}
    async with running([sys.executable, tmp_path / "program.py"], target) as example:
        await example.until(f"{shop.running.sandbox_url}/pay/cs_test_")


async def test_the_shell_s_commands_list_the_methods_and_show_what_was_fulfilled(shop: Shop) -> None:
    listing, following = (block for block in blocks(CONSUMING, "sh") if block.startswith("buf curl"))
    order = await shop.checkout()
    await shop.buyer(order)
    here = {"PATH": f"{SCRIPTS}:/usr/bin:/bin"}

    async with running(["sh", "-c", listing.replace(ADDRESS, shop.running.grpc_address)], here) as example:
        await example.until("payments.v1.Payments/StreamFulfillments")
    async with running(["sh", "-c", following.replace(ADDRESS, shop.running.grpc_address)], here) as example:
        await example.until(f'"orderId": ?"{order.order_id}"')
        assert "TYPE_FULFILLED" in example.said
        assert "TYPE_PAYMENT_SUCCEEDED" not in example.said


async def test_the_shell_s_commands_make_a_subscriber_and_show_how_it_stands(shop: Shop) -> None:
    (making,) = (block for block in blocks(CONSUMING, "sh") if "CreateSubscriber" in block)
    here = {"PATH": f"{SCRIPTS}:/usr/bin:/bin"}

    async with running(
        ["sh", "-ec", making.replace(ADDRESS, shop.running.grpc_address) + "echo done"], here
    ) as example:
        await example.until("done")
        assert example.said.count('"course-service"') == 2


@pytest.mark.parametrize("document", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_proto_files_name_the_types_that_go_and_typescript_use() -> None:
    contract = "".join(path.read_text() for path in (ROOT / "proto").rglob("*.proto"))
    program = blocks(CONSUMING, "go")[0]
    used = {name.partition("_")[0] for name in re.findall(r"\bpb\.(\w+)", program)} - {
        "PaymentsClient",
        "NewPaymentsClient",
    }

    assert used >= {"StartPosition", "StreamFulfillmentsRequest"}
    assert {name for name in used if f"message {name} " not in contract} == set()
