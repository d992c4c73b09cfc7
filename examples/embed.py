"""A cluster inside a plain script: it lives as long as the `with` block."""

from collections import Counter
from pathlib import Path

import tucano

with tucano.local_cluster(workers=2) as cluster:
    cluster.deploy(Path(__file__).parent / "hello", replicas=3)
    for service in cluster.services():
        print(f"{service.name}: {service.ready} of {service.replicas} at {cluster.url}")
    answers = Counter(cluster.get("hello").headers["X-Tucano-Instance"] for _ in range(30))
    for instance, count in sorted(answers.items()):
        print(f"{instance} answered {count} times")
