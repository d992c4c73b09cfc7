"""The wire of Tucano, on one page: enough to write a client, or a node, in any language. Knows no actor.

`tests/transport/test_wire_page.py` holds this page to the code, `tests/golden/*.json` has an example of everything said
here with its bytes, and `examples/` has clients in Python and in Node.js that use nothing else. All of it is ZeroMQ
(ZMTP 3.1) over TCP, and msgpack. Sizes are in bytes, KiB is 1024; times are in seconds unless something else is said.

# Clients

A DEALER or REQ socket, connected to the *door* of the controller. One frame each way (a REQ adds its empty one, and
gets it back): a msgpack map.

| frame | fields |
|---|---|
| request | `v` (1), `id` (a whole number of the client's, 0 to 2^53), `op` (text), `args` (a map, may be left out) |
| answer | `id` of the request, and either `ok` (the value) or `error` (a map: `code`, `message`, both text) |
| item | `id` of the request that began the stream, `item` (the value) |

Answers come in any order, one for each request; `id` 0 answers what was no request. A request that nobody could read,
or of a field or an argument that is not known, is an error that names it. Answers may have more fields than here:
ignore them. Who sends a larger frame than is allowed is cut off. Keep queued requests from a controller that is away
with ZMQ_IMMEDIATE, and give each a time of your own: on none is there an answer for ever.

| op | args | ok |
|---|---|---|
| `ping` | | `{}` |
| `status` | | `{cluster, version, node, since, host, zmq_port, uptime, services, nodes}`, and users' ports |
| `nodes` | | `{nodes: [{name, role, state, pid, since, cpus, memory, cpu, memory_used, instances}]}` |
| `services` | | `{services: [{name, replicas, ready, state, revision, detail, protocol, port}]}` |
| `show` | `name` | a service, and `{last_revision, previous, spec, reached, artifact, created, instances}` |
| `scale` | `name`, `replicas` | `{service, revision, trace}` |
| `restart` | `name` | `{service, revision, trace}` |
| `undeploy` | `name` | `{service, revision, trace}` |
| `artifact` | `artifact` | `{has, next}` |
| `upload` | `artifact`, `size`, `offset`, `data` | `{next}` |
| `deploy` | `spec`, `artifact`, `size` | `{service, revision, trace}` |
| `logs` | `id`, `offset`, `limit`, `build` | `{data, next}`: `data` is bin; none is there at present if it is empty |
| `events` | `since`, `follow` | `{events: [{seq, at, kind, subject, text}]}`, and items of that shape |
| `cancel` | `id` | `{cancelled}` |
| `ps` | `node` | `{nodes}`: the actors of one node, or of all |
| `trace` | `id` | the spans of a conversation |
| `traces` | | `{traces}` |
| `traffic` | `service` | `{services}` |

- *Users' ports* in `status` are `http_port`, `https_port`, `inside_port` and `mdp_port`; 0 where users do not come in.
- A *service* of `traffic` is `{service, requests, errors, retries, in_flight, received, sent, ejections, classes,
  latency, p50, p99, instances}`; instances of the service that is named only.
- An *instance* of `show` is `{id, node, pid, port, state, restarts, revision, detail, since}`; its `id` is what `logs`
  wants.
- *Deploy*: pack the directory as a tar (any make: ustar, GNU or pax) in gzip, of regular files, directories and links;
  each name once, relative, without `..`; links relative, not leading out, `..` only at their beginning; no hard links.
  Leave out what need not travel: caches, environments, `.git`. The *artifact* is the SHA-256 of that file in 64
  lower-case hexadecimal digits. The same content need not give the same bytes; if it does, nothing is uploaded or
  built twice. Ask `artifact`; if the cluster has it not, `upload` from offset 0, each time going on at the `next` of
  the answer, until it is `size`. (It may be another offset than expected: somebody else may upload the same, and a
  new controller begins anew.) `deploy` then with `spec`: the tables of `tucano.toml`, but the keys of its table
  `service` at the top.
- *Followed to its end*: a command is durable when it is answered. Then ask `show` again and again. The release with the
  answered `revision` serves when `state` is `done` and `revision` that number; it never will if `last_revision` is
  greater (superseded), if `state` is `failed` and `last_revision` that number (`detail` says why), or if `state` is
  `removing`, or `show` answers `not_found`. Scaled is when `ready`, `replicas` and the number of instances are what was
  wanted; undeployed is when `show` answers `not_found`.
- *Events*: `since` is the `seq` of the last one seen; negative, the last so many. `seq` grows, not always by one, and
  no number is given twice. With `follow` further ones come as items, until `cancel` or silence of the follower. To keep
  the stream, and to find it again behind a controller that has restarted, ask the same again under the same `id`, with
  the present `since`, every few seconds; what comes before the answer to that is in the answer.
- *Logs*: a negative `offset` counts from the end; go on at `next`. `build` is true for the output of the build script.
- What may be asked twice may be repeated without an answer: all that only looks, `upload`, `scale`. The others not.

# Nodes

Each node has a ROUTER, at which it receives, and for each *lane* to each other node a DEALER, by which it sends.
Nothing is received on a DEALER, nor sent on a ROUTER. The routing id of a DEALER, set before it connects, says who it
is:

    tucano1 NUL cluster NUL node NUL incarnation NUL address             (on the lane control)
    tucano1 NUL cluster NUL node NUL incarnation NUL address NUL lane    (on any other)

and, for each connection anew, `NUL ~` with 24 hexadecimal digits in lower case. The first 8 are a number, greater than
that of every connection which this incarnation made before: a network may still deliver what was sent by those, and
once a later one has been heard on a lane, frames by an earlier one are refused. The other 16 are random. It may be left
out, but two connections of one routing id are one to ZeroMQ, which keeps the later one: without it, who knows the rest
of another node's can cut it off.

`cluster` is 16 lower-case hexadecimal digits; `node` the node's name; `incarnation` the milliseconds since the epoch at
which the node started, in decimal; `address` where its ROUTER receives, `tcp://HOST:PORT`. There is no handshake: the
first frame says all, and whoever hears a node for the first time connects back to its address.

| lane | for |
|---|---|
| `control` | commands and their answers, beats, and all that follows here as letters of nodes to nodes |
| `metrics` | measurements: many, small, and the next one makes good for a lost one |
| `bulk` | artifacts and logs, in pieces that the receiver asks for |

A frame is a msgpack array of letters; a letter is an array, whose last fields may be missing, and then are what stands
here in brackets: `[kind, to (""), sender (""), id (0), ttl (0), tag (""), body (nil), trace ("")]`.

| kind | name | from | means |
|---|---|---|---|
| 0 | beat | node | I am there; sent when nothing else is |
| 1 | tell | actor | `tag` and `body` for the actor `to` |
| 2 | ask | actor | the same, to be answered under `id` on the same lane, within `ttl` milliseconds (0: no limit) |
| 3 | answer | actor | to the ask `id`: `tag` and `body` |
| 4 | refusal | actor or node | to the ask or stop `id`: `body` is an array of two texts, code and detail |
| 5 | watch | actor | tell `sender` when the actor `to`, or its present incarnation, is gone; at once if there is none |
| 6 | unwatch | actor | do not |
| 7 | down | node | to the watcher `to`: the actor `sender` is gone; `tag` and `body` are `down.Down/1` |
| 8 | bye | node | my last word: this incarnation is gone |
| 9 | stop | actor | stop `to` for good; answered under `id` with whether there was one. Tucano's nodes refuse it |
| 10 | taken | node | your name is that of another node that lives (`id`: your incarnation; `tag`: why, for a person) |

- `sender` is `node/actor`, the node being the one that sends, or empty for what no actor says; it may not be empty in
  5, 6 and 7. A node that says a message in the name of another, in `sender` or in the body, is refused.
- `tag` names the type of `body`: `owner.Name/version`, such as `deployer.Scale/1`; empty for a plain value. The body is
  a map of the type's fields by name; its types are the modules of `actors/messages/`.
- `trace` is `trace:span:parent:kind`, the conversation that the letter belongs to: pass it on, or leave it empty.
- A letter that cannot be taken is refused and counted: an ask with a refusal, anything else in silence. A frame of
  another cluster, of an incarnation that has been replaced or has left, or that cannot be read, is dropped and counted.
- Delivery is at most once, in order for one sender and one receiver incarnation on one lane. Who needs more asks.
- A node sends a beat to each other at the interval below, on control. It is down when it has been silent there for
  longer than `3 * mean + 5.6 * deviation` of its intervals, within the bounds below; or when a later incarnation of it
  is heard from the same address, or from another one after the silence below. Then asks to it are
  refused (`unreachable`).
- A node joins a cluster by what it says to the controller: a worker asks `worker_mgr.Hello/1` of
  `controller/worker_mgr` until it is answered, and does what `supervisor.*` tells it.

# Security

Without keys everything listens on loopback only. With keys every socket is CURVE (RFC 26), on loopback, too: the door's
and each node's ROUTER are servers, whose public key is known to whoever connects; which keys are admitted is looked up
for each frame. What one needs is in a *token*: `tucano1.BODY.CHECK`, BODY base64url without padding of JSON, CHECK the
first 8 hexadecimal digits of the SHA-256 of BODY. In it: `name`, `role`, `cluster`, `bridge` (the controller's ROUTER),
`door`, `controller` (its public key), `public`, `secret` (one's own; Z85). The role `admin` may ask for everything,
`reader` for what only looks, `node` for `ping` and `nodes`; only `node` may speak on the bridge, as the node `name`.

# Versions

A new field of a message or letter comes last and has a default: who is older ignores it, who is newer fills it in. So
nodes of one major version work together in any order, and are upgraded one by one; a new key of `tucano.toml` means
something only when all nodes know it. Any other change is a new tag, `Name/2`; a tag that is not known is refused
(`not_understood`), and the refusal says which side to upgrade. What an actor says to itself has no tag. Of the clients'
wire the version is `v`, of the bridge the beginning of the routing id.

# Limits

| what | figure | in the code |
|---|---|---|
| one request | 2 MiB | `transport.door.MAX_REQUEST` |
| `data` of one `upload` | 512 KiB | `actors.messages.operations.CHUNK` |
| an artifact, packed | 256 MiB | `actors.messages.operations.MAX_ARTIFACT` |
| the same, unpacked | 1 GiB | `actors.disk.artifact_tree.MAX_UNPACKED` |
| files, links and directories in it | 50,000 | `actors.disk.artifact_tree.MAX_FILES` |
| a name in it | 1,024 | `actors.disk.artifact_tree.MAX_NAME` |
| a piece of a log, where `limit` is not said | 64 KiB | `actors.messages.operations.LOG` |
| the same, at most | 1 MiB | `actors.messages.operations.MAX_LOG` |
| replicas | 1,000 | `actors.messages.model.MAX_REPLICAS` |
| a follower's silence, until it is forgotten | 60 s | `actors.gateway.STREAM` |
| events in one answer, the latest | 1,000 | `actors.messages.discovery.MOST` |
| a component's answer to a request | 10 s | `actors.gateway.ASK` |
| each node's, where all are asked | 2 s | `actors.gateway.ASK_ALL` |
| one frame between nodes | 16 MiB | `transport.wire.MAX_FRAME` |
| letters in a frame | 4,096 | `transport.wire.MAX_LETTERS` |
| letters that travel together, but a larger one alone | 1 MiB | `transport.wire.FRAME` |
| a routing id | 255 | `transport.wire.MAX_IDENTITY` |
| letters that wait for a node on a lane | 20,000 | `transport.link.QUEUE` |
| their bodies | 32 MiB | `transport.link.QUEUE_BYTES` |
| frames in ZeroMQ, to a node on a lane | 64 | `transport.zmq_dealer.SEND_FRAMES` |
| the same, from one | 256 | `transport.zmq_link.RECEIVE_FRAMES` |
| beats, one each | 0.25 s | `transport.link.BEAT` |
| silence that is always borne | 2 s | `transport.detector.FLOOR` |
| silence that is never borne | 10 s | `transport.detector.CEILING` |
| silence after which a name may be had at another address | 1 s | `transport.peers.CLAIM` |
| a piece of an artifact, asked for by a worker | 128 KiB | `actors.pure.transfer.PIECE` |
| pieces asked for ahead | 2 MiB | `actors.pure.transfer.WINDOW` |

# Codes

| code | of | means |
|---|---|---|
| `bad_request` | clients | no request, or an argument is wrong: the message says which |
| `unknown_op` | clients | no such operation |
| `not_found` | both | no such service, instance, artifact, conversation or actor |
| `conflict` | both | somebody else has changed it meanwhile |
| `refused` | both | it may not be: the message says why |
| `forbidden` | both | not with this key; or said in the name of another node |
| `unavailable` | both | not now: try again |
| `storage` | both | the record cannot be written: look at its disk |
| `timeout` | both | no answer in time; whether it was done is not known |
| `unreachable` | both | that node is not connected, or too much waits for it |
| `crashed` | both | the actor crashed on this message |
| `mailbox_full` | both | too much waits for that actor |
| `stopped` | both | it was stopped before it came to the message |
| `gave_up` | both | that node has given up: its actors crashed too often |
| `too_large` | both | more than may travel |
| `not_understood` | nodes | no such type of message here, or a field of it is wrong |
| `name_taken` | nodes | there is an actor of that name |
| `not_readable` | both | a log cannot be read |
| `stopping`, `no_room`, `no_port`, `bad_id` | nodes | a worker cannot do what it is told: the detail says why |
| `build_failed`, `abandoned` | nodes | of builds |

# The code

`link` is what an actor system needs of a network, `wire` the bytes, `peers` who is there and `detector` who is silent,
`outgoing` what waits for a peer; `link_base` puts these together. `zmq_link` is the real thing, with a `zmq_dealer` for
each way out and a `pusher` for what nobody else sends; `memory_link` is the one for simulations, through a `network`
that can have `faults`. `zmq_door` is where clients come in; `security`, `curve` and `secured` are the keys. Imported as
`tucano.transport`: the code lies at the top of the repository.
"""

if __name__ != "tucano.transport":
    raise ImportError(f"import this package as 'tucano.transport', not as {__name__!r}")
