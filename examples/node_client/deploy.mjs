// A service's way to the cluster: describe, pack, upload what the cluster lacks, and look until it is done.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { parse } from "smol-toml";
import { Failed } from "./cluster.mjs";

const CHUNK = 512 * 1024; // bytes of one upload, at most
const LEFT_OUT = [".git", ".hg", ".svn", ".tox", ".venv", "__pycache__", "node_modules"];

const say = (text) => process.stderr.write(`${text}\n`);

export function replicasOf(text) {
  if (!/^\d+$/.test(text)) throw new Failed("usage", `a number of replicas is wanted, not '${text}'`);
  return Number(text);
}

export async function deploy(cluster, directory, replicas) {
  const spec = readSpec(directory, replicas);
  const packed = pack(directory);
  const which = { artifact: createHash("sha256").update(packed).digest("hex"), size: packed.length };
  await upload(cluster, packed, which);
  await followRollout(cluster, await cluster.ask("deploy", { spec, ...which }));
}

/** `tucano.toml` as the wire wants it: the keys of its table `service` at the top. */
function readSpec(directory, replicas) {
  const path = join(directory, "tucano.toml");
  try {
    const { service, ...tables } = parse(readFileSync(path, "utf8"));
    if (!service) throw new Error("it has no table [service]");
    return { ...tables, ...service, ...(replicas && { replicas: replicasOf(replicas) }) };
  } catch (error) {
    if (error instanceof Failed) throw error;
    throw new Failed("usage", `${path}: no description of a service: ${error.message}`);
  }
}

/** The directory as a gzip of a tar; without times and owners the same content has the same hash. */
function pack(directory) {
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--hard-dereference"];
  const without = LEFT_OUT.map((name) => `--exclude=${name}`);
  try {
    const options = { maxBuffer: 2 ** 30, stdio: ["ignore", "pipe", "pipe"] };
    return gzipSync(execFileSync("tar", ["--create", ...same, ...without, `--directory=${directory}`, "."], options));
  } catch (error) {
    throw new Failed("failed", `${directory} cannot be packed: ${error.stderr?.toString().trim() || error.message}`);
  }
}

/** Give the cluster what it lacks; each answer says where to go on, also behind a new controller. */
async function upload(cluster, packed, which) {
  if ((await cluster.look("artifact", { artifact: which.artifact })).has) return;
  let offset = 0;
  let again = 0;
  while (offset < packed.length) {
    const data = packed.subarray(offset, offset + CHUNK);
    const { next } = await cluster.look("upload", { ...which, offset, data });
    again = next > offset ? 0 : again + 1;
    if (again > 3) throw new Failed("failed", `the upload does not get on: byte ${next} is wanted again`);
    offset = next;
    say(`uploaded ${offset} of ${packed.length} bytes`);
  }
}

export async function restart(cluster, name) {
  await followRollout(cluster, await cluster.ask("restart", { name }));
}

/** Look until the revision serves, or never will. */
async function followRollout(cluster, { service: name, revision }) {
  const serves = (shown) => {
    if (!shown || shown.state === "removing") throw new Failed("failed", `${name} was undeployed meanwhile`);
    if (shown.last_revision > revision) {
      throw new Failed("failed", `revision ${revision} was superseded by ${shown.last_revision}`);
    }
    if (shown.state === "failed" && shown.last_revision === revision) {
      throw new Failed("failed", `revision ${revision} of ${name} failed: ${shown.detail}`);
    }
    say(`${shown.ready} of ${shown.replicas} ready`);
    return shown.state === "done" && shown.revision === revision;
  };
  await waitUntil(cluster, name, serves, 900_000);
  console.log(`${name}: revision ${revision} serves`);
}

export async function scale(cluster, name, replicas) {
  const wanted = replicasOf(replicas);
  await cluster.ask("scale", { name, replicas: wanted });
  const scaled = (shown) => {
    if (shown?.replicas !== wanted) throw new Failed("failed", `somebody undeployed or scaled ${name} meanwhile`);
    return shown.ready === wanted && shown.instances.length === wanted;
  };
  await waitUntil(cluster, name, scaled);
  console.log(`${name}: ${wanted} of ${wanted} ready`);
}

export async function undeploy(cluster, name) {
  await cluster.ask("undeploy", { name });
  await waitUntil(cluster, name, (shown) => !shown);
  console.log(`${name}: gone`);
}

async function waitUntil(cluster, name, isDone, patience = 120_000) {
  const deadline = Date.now() + patience;
  while (!isDone(await find(cluster, name))) {
    if (Date.now() > deadline) {
      throw new Failed("failed", `${name} was not done in ${patience / 1000} s; 'show ${name}' says where it stands`);
    }
    await sleep(250);
  }
}

/** A service, or undefined. */
export async function find(cluster, name) {
  try {
    return await cluster.look("show", { name });
  } catch (failed) {
    if (failed.code === "not_found") return undefined;
    throw failed;
  }
}
