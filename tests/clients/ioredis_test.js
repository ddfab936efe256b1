// ioredis used as an application would. Run by test_ioredis.py: node ioredis_test.js PORT SOCKET.
// Each test is a function; the first failure ends the process with status 1 and names the test.
"use strict";

const assert = require("node:assert/strict");
const Redis = require("ioredis");

const [port, path] = [Number(process.argv[2]), process.argv[3]];

const tests = {
  async strings(redis) {
    assert.equal(await redis.set("k", "v", "EX", 100), "OK");
    assert.equal(await redis.get("k"), "v");
    assert.ok((await redis.ttl("k")) > 90);
    assert.equal(await redis.set("k", "w", "NX"), null);
    assert.deepEqual(await redis.mget("k", "missing"), ["v", null]);
    assert.equal(await redis.incrby("n", 5), 5);
    assert.equal(await redis.incrbyfloat("n", 0.5), "5.5");
    const bytes = Buffer.from([0, 255, 13, 10]);
    await redis.set("b", bytes);
    assert.deepEqual(await redis.getBuffer("b"), bytes);
  },

  async errorsAreRejections(redis) {
    await redis.set("k", "abc");
    await assert.rejects(redis.incr("k"), /ERR value is not an integer or out of range/);
    await assert.rejects(redis.call("NOSUCH"), /ERR unknown command/);
  },

  async commandsSentTogetherAreAnsweredInOrder(redis) {
    const answers = await Promise.all(Array.from({ length: 2000 }, (_, i) => redis.incr("n").then((n) => [i, n])));
    for (const [i, n] of answers) assert.equal(n, i + 1);
  },

  async pipelines(redis) {
    const pipeline = redis.pipeline();
    for (let i = 0; i < 500; i++) pipeline.set(`k${i}`, i).get(`k${i}`);
    const results = await pipeline.exec();
    results.forEach(([error, value], i) => {
      assert.equal(error, null);
      if (i % 2) assert.equal(value, String((i - 1) / 2));
    });
  },

  async autoPipelining() {
    const redis = new Redis({ port, enableAutoPipelining: true });
    const values = await Promise.all(Array.from({ length: 300 }, (_, i) => redis.set(`a${i}`, i).then(() => redis.get(`a${i}`))));
    values.forEach((value, i) => assert.equal(value, String(i)));
    redis.disconnect();
  },

  async transactions(redis) {
    assert.deepEqual(await redis.multi().set("k", 1).incr("k").get("k").exec(), [[null, "OK"], [null, 2], [null, "2"]]);
    const other = redis.duplicate();
    await redis.watch("k");
    await other.set("k", 9);
    assert.equal(await redis.multi().set("k", 10).exec(), null);
    await assert.rejects(redis.multi().set("k", 1).call("GET").exec(), /EXECABORT/);
    other.disconnect();
  },

  async messages(redis) {
    const listener = redis.duplicate();
    const received = [];
    const done = new Promise((resolve) => {
      const count = () => received.length === 4 && resolve();
      listener.on("message", (channel, message) => { received.push([channel, message]); count(); });
      listener.on("pmessage", (pattern, channel, message) => { received.push([pattern, channel, message]); count(); });
    });
    assert.equal(await listener.subscribe("news", "sport"), 2);
    assert.equal(await listener.psubscribe("n*"), 3);
    assert.equal(await redis.publish("news", "one"), 2);
    assert.equal(await redis.publish("sport", "two"), 1);
    assert.equal(await redis.publish("none", "three"), 1);
    await done;
    assert.deepEqual(received, [["news", "one"], ["n*", "news", "one"], ["sport", "two"], ["n*", "none", "three"]]);
    await listener.unsubscribe("news", "sport");
    await listener.punsubscribe();
    assert.equal(await listener.ping(), "PONG");
    listener.disconnect();
  },

  async scanning(redis) {
    const pipeline = redis.pipeline();
    for (let i = 0; i < 1000; i++) pipeline.set(`key:${i}`, i);
    await pipeline.exec();
    const found = new Set();
    for await (const keys of redis.scanStream({ match: "key:*", count: 100 })) keys.forEach((key) => found.add(key));
    assert.equal(found.size, 1000);
  },

  async unixSocketAndDatabases() {
    const redis = new Redis({ path, db: 3 });
    await redis.set("k", "in 3");
    const first = new Redis({ path });
    assert.equal(await first.get("k"), null);
    await first.select(3);
    assert.equal(await first.get("k"), "in 3");
    redis.disconnect();
    first.disconnect();
  },

  async largeValues(redis) {
    const value = Buffer.alloc(10_000_000, "abc");
    await redis.set("big", value);
    assert.ok(value.equals(await redis.getBuffer("big")));
  },

  async aKilledConnectionComesBack(redis) {
    const victim = new Redis({ port, retryStrategy: () => 10 });
    const id = await victim.client("ID");
    assert.equal(await redis.client("KILL", "ID", id), 1);
    assert.equal(await victim.set("k", "back"), "OK");
    assert.notEqual(await victim.client("ID"), id);
    victim.disconnect();
  },

  async monitors(redis) {
    const monitor = await redis.monitor();
    const seen = new Promise((resolve) => monitor.on("monitor", (time, args) => args[1] === "watched" && resolve(args)));
    await redis.set("watched", "yes");
    assert.deepEqual(await seen, ["set", "watched", "yes"]);
    monitor.disconnect();
  },

  async serverCommands(redis) {
    assert.match(await redis.info("server"), /redis_version:\d+\.\d+\.\d+/);
    assert.deepEqual(await redis.config("GET", "port"), ["port", String(port)]);
    assert.equal((await redis.time()).length, 2);
  },
};

async function main() {
  for (const [name, test] of Object.entries(tests)) {
    const redis = new Redis({ port });
    try {
      await redis.flushall();
      await test(redis);
      console.log(`ok ${name}`);
    } catch (error) {
      console.error(`FAILED ${name}:`, error);
      process.exit(1);
    }
    redis.disconnect();
  }
}

main();
