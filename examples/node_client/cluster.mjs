// The wire: one DEALER, a msgpack map each way. `ask` for one answer, `look` until one comes, `follow` for a stream.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { decode, encode } from "@msgpack/msgpack";
import { Dealer } from "zeromq";

const RENEW = 5_000; // ms between two renewals of a stream; it ends 60 s after its follower's last word

/** What was wanted was not done: a code of the wire's, or `usage`, `nobody`, `failed`; and why. */
export class Failed extends Error {
  constructor(code, why) {
    super(why);
    this.code = code;
  }
}

export class Cluster {
  #socket;
  #lastId = 0;
  #waiting = new Map(); // request number -> what to do with each frame that bears it

  constructor(door, token) {
    this.door = door;
    const keys = token && {
      curveServerKey: token.controller,
      curvePublicKey: token.public,
      curveSecretKey: token.secret,
    };
    // immediate: nothing is queued for a controller that is not there
    this.#socket = new Dealer({ linger: 0, immediate: true, sendTimeout: 5_000, ...keys });
    this.#socket.connect(door);
    this.#receive();
  }

  close() {
    this.#socket.close();
  }

  async #receive() {
    for await (const frames of this.#socket) {
      const answer = decode(frames.at(-1));
      this.#waiting.get(answer.id)?.(answer);
    }
  }

  async #send(id, op, args) {
    try {
      await this.#socket.send(encode({ v: 1, id, op, args }));
    } catch {
      throw new Failed("nobody", `nobody answers at ${this.door}, or not to this key`);
    }
  }

  /** Ask once; the answer's `ok`. */
  async ask(op, args = {}, ms = 10_000) {
    const id = ++this.#lastId;
    const late = new AbortController();
    try {
      const answered = new Promise((resolve) => this.#waiting.set(id, resolve));
      await this.#send(id, op, args);
      const tooLate = sleep(ms, undefined, { signal: late.signal }).catch(() => undefined);
      const answer = await Promise.race([answered, tooLate]);
      if (!answer) throw new Failed("nobody", `${op}: ${this.door} has not answered within ${ms / 1000} s`);
      if (answer.error) throw new Failed(answer.error.code, `${op}: ${answer.error.message}`);
      return answer.ok;
    } finally {
      late.abort();
      this.#waiting.delete(id);
    }
  }

  /** Ask what may be asked twice, again and again while the controller is away: it may be restarting. */
  async look(op, args = {}, patience = 30_000) {
    const deadline = Date.now() + patience;
    for (;;) {
      try {
        return await this.ask(op, args);
      } catch (failed) {
        if (!["nobody", "unavailable", "timeout"].includes(failed.code) || Date.now() > deadline) throw failed;
        await sleep(250);
      }
    }
  }

  /**
   * All events after number `since`, as they happen.
   *
   * Asked for again and again under one number: that keeps the stream, and finds it again behind a controller that has
   * restarted. The answer to each has what came before it, so items count only after it.
   */
  async *follow(since) {
    const id = ++this.#lastId;
    const came = [];
    let wake = () => {};
    this.#waiting.set(id, (answer) => {
      came.push(answer);
      wake();
    });
    let isAnswered = false;
    let renewAt = 0;
    for (;;) {
      if (Date.now() >= renewAt) {
        isAnswered = false;
        renewAt = Date.now() + RENEW;
        await this.#send(id, "events", { since, follow: true }).catch(() => {}); // it is away: ask again later
      }
      if (!came.length) {
        const timer = setTimeout(() => wake(), Math.max(0, renewAt - Date.now()));
        await new Promise((resolve) => (wake = resolve));
        clearTimeout(timer);
      }
      for (const answer of came.splice(0)) {
        if (answer.error) throw new Failed(answer.error.code, `events: ${answer.error.message}`);
        isAnswered ||= "ok" in answer;
        for (const event of (answer.ok ?? answer.item).events) {
          if (isAnswered && (since < 0 || event.seq > since)) {
            since = event.seq;
            yield event;
          }
        }
      }
    }
  }
}

/** The keys in a token: `tucano1.BODY.CHECK`, BODY base64url of JSON, CHECK the beginning of its SHA-256. */
export function readToken(path) {
  let text;
  try {
    text = readFileSync(path, "utf8").replace(/\s/g, "");
  } catch (error) {
    throw new Failed("usage", `the token cannot be read: ${error.message}`);
  }
  const [prefix, body = "", check = ""] = text.split(".");
  if (prefix !== "tucano1" || createHash("sha256").update(body).digest("hex").slice(0, 8) !== check) {
    throw new Failed("usage", `${path} holds no token, or not a whole one: copy the whole line`);
  }
  return JSON.parse(Buffer.from(body, "base64url").toString());
}
