"""Routes of a whole cluster: said in `tucano.toml`, shown, refused where they meet, changed without a restart."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest

from tests.helpers import eventually
from tucano.client.failures import ClusterError
from tucano.local import Cluster, local_cluster

APP = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


def write(folder: Path, name: str, tables: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(APP)
    (folder / "tucano.toml").write_text(f'[service]\nname = "{name}"\n[run]\nscript = "exec python3 app.py"\n{tables}')
    return folder


def ask(cluster: Cluster, host: str, path: str) -> tuple[int, bytes]:
    status = cluster.client.status()
    connection = http.client.HTTPConnection(status.host, status.http_port, timeout=20)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    found = (answer.status, answer.read())
    connection.close()
    return found


def test_a_service_is_reached_where_it_says_and_may_move_without_new_instances(tmp_path: Path) -> None:
    api = write(tmp_path / "api", "api", '[route]\nhosts = ["*.example.org"]\npath = "/v2"\nstrip = true\n')
    rival = write(tmp_path / "rival", "rival", '[route]\nhosts = ["a.b", "*.example.org"]\npath = "/v2/"\n')
    with local_cluster(1) as cluster:
        first = cluster.deploy(api)
        assert ask(cluster, "www.example.org", "/v2/users?x") == (200, b"/users?x")
        assert ask(cluster, "www.example.org", "/v1")[0] == 404
        before = cluster.client.show("api")
        assert before.reached == ["*.example.org/v2", "api/v2"]
        with pytest.raises(ClusterError, match=r"rival and api would both answer \*\.example\.org/v2") as refused:
            cluster.deploy(rival)
        assert refused.value.code == "conflict"
        write(tmp_path / "api", "api", '[route]\npath = "/v3"\n')
        assert cluster.deploy(api).revision == first.revision
        eventually(lambda: ask(cluster, "api.any.domain", "/v3/users") == (200, b"/v3/users"))
        after = cluster.client.show("api")
        assert [one.id for one in after.instances] == [one.id for one in before.instances]
        assert cluster.deploy(rival).service == "rival"
