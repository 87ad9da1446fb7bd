"""What one stream sends: Opened first, batches, signals, cursors on everything, and typed ends."""

from .log_scene import EARLIEST, LATEST, Scene, at, ids

async def test_a_stream_opens_catches_up_and_follows(scene: Scene) -> None:
    await scene.fill(250)
    reader = await scene.open(EARLIEST)
    await reader.until("caught_up")
    assert reader.signals == ["opened", "caught_up"]
    await scene.fill(3)
    await reader.until_events(253)
    assert len(reader.events)==253
