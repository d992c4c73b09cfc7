#!/usr/bin/env node
// Administers a cluster from Node.js.

import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, Failed, readToken } from "./cluster.mjs";
import { deploy, find, restart, scale, undeploy } from "./deploy.mjs";

const USAGE = `node admin.mjs [--door tcp://HOST:PORT] COMMAND

  nodes | services | show NAME        what there is, as JSON
  deploy DIR [REPLICAS]               packs, uploads, rolls out, and waits until it serves, or does not
  scale NAME REPLICAS | restart NAME | undeploy NAME
  logs NAME [-f]                      what a service's instances print, or one instance
  events [-f]                         what happened, a line of JSON each; with -f what happens, too

A cluster of this machine without keys is named by its door (\`zmq_port\` of \`tucano status --json\`). For any other
one, TUCANO_TOKEN_FILE names the file with a token. Exit status: 0 done, 1 failed, 2 wrong usage, 3 nobody answers.`;

async function logs(cluster, name, follow) {
  const offsets = new Map();
  const rests = new Map();
  for (;;) {
    const service = await find(cluster, name);
    const ids = service ? service.instances.map((one) => one.id) : [name];
    for (const id of ids) {
      try {
        for (;;) {
          const piece = await cluster.look("logs", { id, offset: offsets.get(id) ?? -65_536 });
          offsets.set(id, piece.next);
          if (!piece.data.length) break;
          const text = Buffer.concat([rests.get(id) ?? Buffer.alloc(0), piece.data]);
          const end = text.lastIndexOf(10) + 1; // of the last whole line
          rests.set(id, text.subarray(end));
          for (const line of text.subarray(0, end).toString().split("\n").slice(0, -1)) console.log(`${id} | ${line}`);
        }
      } catch (failed) {
        if (failed.code !== "not_found" || !(service || offsets.size)) throw failed;
        if (!service) return; // the one instance that was read is gone
      }
    }
    if (!follow) return;
    await sleep(250);
  }
}

async function events(cluster, follow) {
  if (!follow) {
    for (const event of (await cluster.look("events", { since: -50 })).events) console.log(JSON.stringify(event));
    return;
  }
  for await (const event of cluster.follow(-10)) console.log(JSON.stringify(event));
}

const showJson = (op, ...names) => async (cluster, ...given) => {
  const args = Object.fromEntries(names.map((name, at) => [name, given[at]]));
  console.log(JSON.stringify(await cluster.look(op, args), null, 2));
};

// name: [what does it, arguments at least, at most]
const COMMANDS = {
  nodes: [showJson("nodes"), 0, 0],
  services: [showJson("services"), 0, 0],
  show: [showJson("show", "name"), 1, 1],
  deploy: [deploy, 1, 2],
  scale: [scale, 2, 2],
  restart: [restart, 1, 1],
  undeploy: [undeploy, 1, 1],
  logs: [logs, 1, 2],
  events: [events, 0, 1],
};

async function main(words) {
  let door, token;
  if (words[0] === "--door" && words.length > 1) {
    [, door, ...words] = words;
  } else if (process.env.TUCANO_TOKEN_FILE) {
    token = readToken(process.env.TUCANO_TOKEN_FILE);
    door = token.door;
  }
  const [name, ...given] = words;
  const [command, least, most] = Object.hasOwn(COMMANDS, name ?? "") ? COMMANDS[name] : [];
  const isFlag = given.length === most && ["logs", "events"].includes(name);
  if (!command || given.length < least || given.length > most || (isFlag && given.at(-1) !== "-f")) {
    throw new Failed("usage", USAGE);
  }
  if (!door) {
    throw new Failed("usage", "which cluster? --door tcp://127.0.0.1:PORT, or TUCANO_TOKEN_FILE in the environment");
  }
  if (!door.startsWith("tcp://")) throw new Failed("usage", `a door is tcp://HOST:PORT, not '${door}'`);
  const cluster = new Cluster(door, token);
  try {
    await command(cluster, ...given);
  } finally {
    cluster.close();
  }
}

try {
  await main(process.argv.slice(2));
} catch (failed) {
  if (!(failed instanceof Failed)) throw failed; // a bug of ours
  console.error(failed.message);
  process.exitCode = { usage: 2, nobody: 3 }[failed.code] ?? 1;
}
