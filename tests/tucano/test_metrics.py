"""OpenMetrics text, read back by a strict parser."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.actors.test_latency import histogram
from tucano import render
from tucano.client.answers import TrafficInfo

ABOUT = re.compile(r"# (TYPE (?P<type>[a-z_]+) (?P<kind>counter|gauge|histogram)|HELP (?P<help>[a-z_]+) [^\\]+\.)")
SAMPLE = re.compile(r'(?P<name>[a-z_]+)\{(?P<labels>[a-z]+="[^"\\]*"(?:,[a-z]+="[^"\\]*")*)\} (?P<value>[0-9]+)')


def parsed(text: str) -> dict[str, int]:
    """All samples; each stands below the lines about its own family, and families do not mix."""
    *lines, end = text.split("\n")
    assert end == "# EOF"
    found: dict[str, int] = {}
    kinds: dict[str, str] = {}
    family = ""
    for line in lines:
        if about := ABOUT.fullmatch(line):
            if about["type"]:
                family = about["type"]
                assert family not in kinds
                kinds[family] = about["kind"]
            assert family == (about["type"] or about["help"])
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        suffix = {"counter": "_total", "gauge": "", "histogram": "_bucket"}[kinds[family]]
        assert sample["name"] == family + suffix
        key = f"{sample['name']}{{{sample['labels']}}}"
        assert key not in found
        found[key] = int(sample["value"])
    return found


def test_counts_of_all_services_are_told() -> None:
    found = parsed(
        render.metrics(
            [
                TrafficInfo("hello", 9, 1, 2, 3, 4, 5, 6, (0, 0, 7, 0, 1, 1), histogram([0.001] * 8 + [1.5])),
                TrafficInfo("shop"),
            ]
        )
    )
    assert found['tucano_requests_total{service="hello",status="2xx"}'] == 7
    assert found['tucano_in_flight{service="hello"}'] == 3
    assert found['tucano_received_bytes_total{service="hello"}'] == 4
    assert found['tucano_ejections_total{service="shop"}'] == 0
    assert found['tucano_request_seconds_bucket{service="hello",le="+Inf"}'] == 9


def test_no_services_are_no_samples() -> None:
    assert parsed(render.metrics([])) == {}


@given(st.lists(st.floats(0, 200), max_size=30))
def test_buckets_count_what_is_below_their_bound(times: list[float]) -> None:
    found = parsed(render.metrics([TrafficInfo("hello", latency=histogram(times))]))
    bounds = {key.split('le="')[1][:-2]: count for key, count in found.items() if "_bucket" in key}
    assert bounds.pop("+Inf") == len(times)
    assert list(bounds.values()) == sorted(bounds.values())
    for bound, count in bounds.items():
        edge = float(bound)
        near = sum(abs(time - edge) <= edge * 1e-5 for time in times)  # the bound is told in six digits
        assert abs(count - sum(time < edge for time in times)) <= near
