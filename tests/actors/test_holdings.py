"""What the deployer knows of the record."""

from __future__ import annotations

from tucano.actors.messages.discovery import Entry
from tucano.actors.messages.model import Instance, Revision, Run, Service, Spec, Worker
from tucano.actors.pure.holdings import Holdings

FIRST, SECOND = (Revision(number, Spec("db", Run("./db")), "a" * 64, 1, 0.0) for number in (1, 2))


def holdings(*instances: Instance) -> Holdings:
    known = Holdings()
    entries = [Entry("service/db", 1, service=Service("db", 1, SECOND, FIRST))]
    known.load([*entries, *(Entry(f"instance/{one.id}", 1, instance=one) for one in instances)])
    return known


def test_an_instance_runs_the_revision_of_its_number_as_long_as_that_is_wanted() -> None:
    known = holdings()
    assert known.revision_of(Instance("db-a", "db", 1, "worker-1")) == FIRST
    assert known.revision_of(Instance("db-b", "db", 2, "worker-1")) == SECOND
    assert known.revision_of(Instance("db-c", "db", 3, "worker-1")) is None
    assert known.revision_of(Instance("web-a", "web", 1, "worker-1")) is None


def test_it_is_unsure_of_what_no_worker_who_is_there_has_told() -> None:
    known = holdings(one := Instance("db-a", "db", 2, "worker-1", state="ready"))
    assert known.is_unsure("db")
    known.confirm("db-a")
    assert not known.is_unsure("db")
    known.doubt(known.on("worker-1"))
    assert known.is_unsure("db")
    known.remove(one)
    assert not known.is_unsure("db")
    assert known.newest("db") == 0.0


def test_a_node_that_nobody_knows_is_gone_and_a_service_that_nobody_knows_is_leaving() -> None:
    known = holdings()
    known.workers["worker-1"] = Worker("worker-1", "silent", 0.0)
    assert not known.is_gone("worker-1")
    assert known.is_gone("worker-2")
    assert not known.is_leaving("db")
    assert known.is_leaving("web")
