"""What a web process measures at its streams, for /metrics; beside what its doors measure."""

from prometheus_client import Counter, Gauge

from tracker.metrics import REGISTRY

VIEWERS = Gauge("hitwall_viewers", "Streams that are open", multiprocess_mode="sum", registry=REGISTRY)
VIEWERS.set(0)  # the worker before, with whose numbers we go on, may have been killed
FRAMES = Counter("hitwall_frames_sent", "Frames sent to viewers", registry=REGISTRY)
TURNED_AWAY = Counter(
    "hitwall_streams_refused",
    "Streams refused, by HTTP status: 503 where as many are open as may be",
    ["status"],
    registry=REGISTRY,
)
