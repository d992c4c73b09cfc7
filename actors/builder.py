"""The worker's builder: fetches an artifact, unpacks it and runs the build script, once for all who want the same.

A build is a job that passes through `queued -> fetching -> unpacking -> running`, and has one thing at a time that it
waits for: the artifact, the thread that unpacks, or the script. How the artifact comes is `fetch`'s to say, where all
lies is `workspace`'s.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, assert_never

from tucano.actors.disk import artifact, logs, workspace
from tucano.actors.disk.download import BadArtifact
from tucano.actors.fetch import Fetch
from tucano.actors.kernel import Actor, Refused, Reply
from tucano.actors.messages import builder
from tucano.actors.proc.exits import EXITS
from tucano.actors.proc.process import BUILD, Process, environment, in_words, spawn

log = logging.getLogger("tucano.builder")

PIECE_TIMEOUT: Final = 10.0
"""Seconds that a piece may take."""

RETRY: Final = 0.3
"""Seconds before pieces are asked for again."""

MAX_OUTPUT: Final = 64 << 20
"""Bytes that a build may print."""

LOOK: Final = 0.2
"""Seconds between two looks at what a build has used."""


class _Job:
    """One build under way."""

    def __init__(self, key: str, make: builder.Make) -> None:
        self.key = key
        self.make = make
        self.makes = [make]
        self.waiting: list[Reply] = []
        self.running = False  # past the queue
        self.fetch: Fetch | None = None
        self.has_all = False  # of the artifact
        self.ends_at = 0.0
        self.process: Process | None = None
        self.is_abandoned = False
        self.stopped = ""  # why we killed its process


_Inbox = (
    builder.Make | builder.Abandon | builder.Collect | builder.Fetched | builder.FetchDue | builder.Unpacked
    | builder.BuildEnded | builder.LimitsDue
)  # fmt: skip


class Builder(Actor):
    """Builds.

    Args:
        home: the worker's directory.
        gateway: address of who has the artifacts.
        parallel: builds at once; 0: one for each processor.

    """

    Inbox = _Inbox

    def __init__(self, home: Path, gateway: str = "controller/gateway", parallel: int = 0) -> None:
        super().__init__()
        self._places = workspace.Workspaces(home)
        self._gateway = self.address(gateway)
        self._parallel = parallel or len(os.sched_getaffinity(0))
        self._jobs: dict[str, _Job] = {}
        self._queue: deque[_Job] = deque()
        self._cleaner: threading.Thread | None = None

    def on_start(self) -> None:
        """End what an earlier worker process left behind."""
        self._places.prepare()
        self._clean()

    def on_stop(self) -> None:
        """Kill the builds that run: without a builder they are of no use."""
        for job in self._jobs.values():
            if job.process is not None:
                EXITS.stop(job.process, 0)

    def on_crash(self) -> None:
        """See `on_stop`; who waits asks the next incarnation."""
        self.on_stop()
        for job in self._jobs.values():
            self._refuse(job, Refused("crashed", f"{self.ref.address} crashed while it built {job.make.service}"))

    def receive(self, message: _Inbox) -> Any:
        """Handle one message."""
        match message:
            case builder.Make():
                return self._make(message)
            case builder.Abandon(directory):
                if job := self._jobs.get(Path(directory).name):
                    self._abandon(job)
            case builder.Collect(keep):
                self._collect({Path(directory).name for directory in keep})
            case builder.Fetched(key, offset, result):
                self._step(key, lambda job: self._fetched(job, offset, result))
            case builder.FetchDue(key):
                self._step(key, self._fetch)
            case builder.Unpacked(key, error, damaged):
                self._step(key, lambda job: self._unpacked(job, error, damaged))
            case builder.BuildEnded(key, status):
                self._step(key, lambda job: self._build_ended(job, status))
            case builder.LimitsDue(key):
                if job := self._jobs.get(key):
                    self._look(job)
            case _:
                assert_never(message)
        return None

    # Jobs.

    def _make(self, make: builder.Make) -> builder.Made | None:
        key = workspace.key(make.artifact, make.build, environment(os.environ)["PATH"])
        job = self._jobs.get(key)
        if job is None:
            if self._places.is_done(key):
                return self._made(key, cached=True)
            job = _Job(key, make)
            job.waiting.append(self.reply_later())
            self._enqueue(job)  # which may fail at once
        else:
            job.makes.append(make)
            job.waiting.append(self.reply_later())
        return None

    def _made(self, key: str, *, cached: bool) -> builder.Made:
        return builder.Made(str(self._places.directory(key)), str(self._places.log(key)), cached)

    def _enqueue(self, job: _Job) -> None:
        self._jobs[job.key] = job
        self._queue.append(job)
        self._start_queued()

    def _start_queued(self) -> None:
        while self._queue and sum(job.running for job in self._jobs.values()) < self._parallel:
            job = self._queue.popleft()
            job.running = True
            self._step(job.key, self._begin)

    def _step(self, key: str, step: Callable[[_Job], None]) -> None:
        """Take a job one step further, unless nobody wants it; what goes wrong with artifact or disk ends it."""
        job = self._jobs.get(key)
        if job is None:
            return
        if job.is_abandoned:
            self._finish(job)
            return
        try:
            step(job)
        except BadArtifact as error:
            self._fail(job, str(error))
        except OSError as error:
            self._fail(job, f"{error.strerror or error} ({self._places.root})")

    def _begin(self, job: _Job) -> None:
        self._places.clear(job.key, self.fresh_id(), keep_archive=True)
        self._clean()
        job.fetch = Fetch(job.make, self._places.archive(job.key), self.now())
        job.has_all = False
        self._fetch(job)

    def _fetch(self, job: _Job) -> None:
        """Ask for as many pieces as may be on their way."""
        if job.fetch is None or job.has_all:
            return
        if job.fetch.is_complete:
            job.has_all = True
            args = (job.key, job.fetch, self.noting(builder.Unpacked))
            threading.Thread(target=self._unpack, args=args, name="tucano-unpack", daemon=True).start()
            return
        for wanted in job.fetch.ask(self.now()):
            into = functools.partial(builder.Fetched, job.key, wanted.offset)
            self.pipe(self._gateway, wanted, PIECE_TIMEOUT, into)

    def _fetched(self, job: _Job, offset: int, result: Any) -> None:
        fetch = job.fetch
        if fetch is None or job.has_all:
            return  # it was asked for twice
        if isinstance(result, Refused):
            if fetch.missed(offset, result, self.now()):
                self.after(RETRY, builder.FetchDue(job.key))
            else:
                text = f"its artifact could not be fetched from the controller: {result}"
                self._fail(job, text, keep_archive=result.code != "not_found")
            return
        fetch.came(offset, result, self.now())
        done = fetch.progress(self.now())
        for make in job.makes:
            if done is not None and make.progress is not None:
                make.progress.tell(builder.Fetching(make.about, done, make.size))
        self._fetch(job)

    def _unpack(self, key: str, fetch: Fetch, done: Callable[..., None]) -> None:
        """Run in a thread of its own: a large artifact takes seconds."""
        archive = self._places.archive(key)
        try:
            fetch.check()
            artifact.unpack(archive, self._places.directory(key))
            archive.unlink()
        except BadArtifact as error:
            done(key, str(error), True)
        except (artifact.ArtifactError, OSError) as error:
            done(key, str(error) or repr(error))
        else:
            done(key)

    def _unpacked(self, job: _Job, error: str, damaged: bool) -> None:
        if damaged and job.fetch is not None and job.fetch.went_on:
            self._begin(job)  # what an earlier fetch had left was damaged: all anew
            return
        if error:
            self._fail(job, error)
            return
        script = job.make.build.script
        if not script.strip():
            self._succeed(job)
            return
        env = environment(os.environ, TUCANO_SERVICE=job.make.service, **{BUILD: job.key})
        try:
            job.process = process = spawn(script, self._places.directory(job.key), env, self._places.log(job.key))
        except ValueError as nul:
            self._fail(job, str(nul))
            return
        EXITS.watch(process, self.noting(lambda status: builder.BuildEnded(job.key, status)))
        job.ends_at = self.now() + job.make.build.timeout
        self._places.note_process(job.key, process)
        self.after(LOOK, builder.LimitsDue(job.key))

    def _look(self, job: _Job) -> None:
        if job.process is None or job.stopped or job.is_abandoned:
            return
        if self.now() >= job.ends_at:
            self._kill(job, f"it took longer than {job.make.build.timeout:g} s (build.timeout)")
        elif self._printed(job) > MAX_OUTPUT:
            self._kill(job, f"it printed more than {MAX_OUTPUT >> 20} MiB")
        else:
            self.after(LOOK, builder.LimitsDue(job.key))

    def _printed(self, job: _Job) -> int:
        path = self._places.log(job.key)
        return path.stat().st_size if path.exists() else 0

    def _build_ended(self, job: _Job, status: int | None) -> None:
        job.process = None
        self._places.forget_process(job.key)
        if job.stopped or status != 0:
            if self._printed(job) > MAX_OUTPUT:
                os.truncate(self._places.log(job.key), MAX_OUTPUT)
            self._fail(job, logs.with_tail(job.stopped or in_words(status), self._places.log(job.key)))
        else:
            self._succeed(job)

    # Ends.

    def _succeed(self, job: _Job) -> None:
        self._places.mark_done(job.key)
        made = self._made(job.key, cached=False)
        for reply in job.waiting:
            reply.answer(made)
        self._remove(job)

    def _fail(self, job: _Job, why: str, *, keep_archive: bool = False) -> None:
        detail = f"the build of {job.make.service} failed on {self.ref.node}: {why}"
        if job.process is not None:
            EXITS.stop(job.process, 0)
        self._discard(job.key, keep_log=True, keep_archive=keep_archive)
        self._refuse(job, Refused("build_failed", detail))
        self._remove(job)

    def _abandon(self, job: _Job) -> None:
        self._refuse(job, Refused("abandoned", f"the build of {job.make.service} is not wanted any more"))
        if not job.running:
            self._queue.remove(job)
            self._remove(job)
        else:
            job.is_abandoned = True
            self._kill(job, "")

    def _kill(self, job: _Job, why: str) -> None:
        job.stopped = why
        if job.process is not None:
            EXITS.stop(job.process, 0)

    def _finish(self, job: _Job) -> None:
        """An abandoned job has come to its end; somebody may want it again by now."""
        self._discard(job.key)
        self._remove(job)
        if job.waiting:
            again = _Job(job.key, job.make)
            again.waiting = job.waiting
            self._enqueue(again)

    def _refuse(self, job: _Job, why: Refused) -> None:
        for reply in job.waiting:
            reply.refuse(why)
        job.waiting = []

    def _remove(self, job: _Job) -> None:
        del self._jobs[job.key]
        self._start_queued()

    # Room.

    def _collect(self, keep: set[str]) -> None:
        for name in self._places.names() - keep - set(self._jobs):
            self._discard(name)

    def _discard(self, name: str, **keep: bool) -> None:
        """Delete a build; a disk that refuses leaves it there without its mark, and it is begun anew when wanted."""
        try:
            self._places.clear(name, self.fresh_id(), **keep)
        except OSError as error:
            log.error("cannot delete build %s: %s", name, error)
        self._clean()

    def _clean(self) -> None:
        """Delete in a thread: a build may have a hundred thousand files."""
        if self._cleaner is None or not self._cleaner.is_alive():
            self._cleaner = threading.Thread(target=self._places.empty_trash, name="tucano-trash", daemon=True)
            self._cleaner.start()
