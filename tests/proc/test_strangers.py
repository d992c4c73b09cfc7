"""Services that were not written for Tucano."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.proc.kit import Users, instances, kill, wait_for_ready, write
from tucano.local import Cluster

FLASK = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return "flask here"
"""

NODE = """\
const http = require("http");
http.createServer((request, response) => {
  if (request.url === "/healthz") { response.end("fine"); return; }
  response.end("node " + process.version);
}).listen(process.env.PORT, process.env.HOST);
"""


def test_a_directory_served_by_pythons_own_server(cluster: Cluster, tmp_path: Path) -> None:
    site = write(
        tmp_path / "site",
        '[service]\nname = "site"\n[run]\nscript = "python3 -m http.server --bind $HOST $PORT"\n',
        index_html="<h1>a site</h1>",
    )
    cluster.deploy(site)  # no health check is named: that the port answers is enough
    status, headers, body = cluster.get("site", "/index.html")
    assert (status, body) == (200, b"<h1>a site</h1>")
    assert headers["Content-Type"] == "text/html"
    assert cluster.get("site", "/nothing")[0] == 404
    assert cluster.get("site", "/nothing")[1]["X-Tucano-Instance"] == instances(cluster, "site")[0].id


def test_a_flask_application_from_its_requirements(cluster: Cluster, tmp_path: Path) -> None:
    toml = """
[service]
name = "shop"
replicas = 2
[build]
script = "python3 -m venv venv && venv/bin/pip install -q -r requirements.txt"
[run]
script = "exec venv/bin/flask --app app run --host $HOST --port $PORT"
[health]
http = "/"
"""
    cluster.deploy(write(tmp_path / "shop", toml, app_py=FLASK, requirements_txt="flask>=3,<4\n"))
    assert cluster.get("shop")[2] == b"flask here"
    victim = instances(cluster, "shop")[0]
    kill(victim.pid)
    wait_for_ready(cluster, 2, "shop")
    assert cluster.get("shop")[2] == b"flask here"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_a_node_server_without_dependencies(cluster: Cluster, tmp_path: Path) -> None:
    toml = '[service]\nname = "js"\nreplicas = 2\n[run]\nscript = "exec node server.js"\n[health]\nhttp = "/healthz"\n'
    cluster.deploy(write(tmp_path / "js", toml, server_js=NODE))
    assert cluster.get("js")[2].startswith(b"node v")


def test_two_services_side_by_side_do_not_mix(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("one", "two"):
        toml = (
            f'[service]\nname = "{name}"\nreplicas = 2\n[run]\nscript = "python3 -m http.server --bind $HOST $PORT"\n'
        )
        cluster.deploy(write(tmp_path / name, toml, index_html=name))
    for name in ("one", "two"):
        assert {cluster.get(name)[2] for _ in range(8)} == {name.encode()}
    assert cluster.get("three")[0] == 404


@pytest.mark.parametrize("host", ["site", "site.example.org", "SITE.localhost:8080"])
def test_the_first_label_of_the_host_names_the_service(cluster: Cluster, tmp_path: Path, host: str) -> None:
    script = "exec python3 -m http.server --bind $HOST $PORT"
    toml = f'[service]\nname = "site"\n[run]\nscript = "{script}"\n'
    cluster.deploy(write(tmp_path / "site", toml, index_html="here"))
    assert cluster.get(host)[2] == b"here"
    with Users(cluster, "nobody", many=1) as users:
        users.wait_for_more(1)
    assert users.failed[0].startswith("404")
