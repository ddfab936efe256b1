// The client-side cache of node-redis used as an application would. Run by test_node_redis_cache.py:
// node node_redis_cache_test.js PORT
"use strict";

const assert = require("node:assert/strict");
const { createClient, BasicClientSideCache } = require("@redis/client");

const socket = { host: "127.0.0.1", port: Number(process.argv[2]) };
const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: "LRU" });

async function main() {
  const cached = await createClient({ RESP: 3, clientSideCache: cache, socket }).connect();
  const writer = await createClient({ socket }).connect();

  await writer.set("k", "1");
  for (let i = 0; i < 3; i++) assert.equal(await cached.get("k"), "1");
  assert.equal(cache.stats().hitCount, 2);
  console.log("ok what was read is kept");

  for (let i = 0; i < 100; i++) {
    await writer.set("k", String(i));
    await cached.ping(); // the message precedes every later reply
    assert.equal(await cached.get("k"), String(i));
    assert.equal(await cached.get("k"), String(i));
  }
  assert.equal(cache.stats().hitCount, 102);
  console.log("ok what has changed is read again");

  await writer.hSet("h", { field: "1" });
  assert.equal(await cached.hGet("h", "field"), "1");
  await writer.hSet("h", { field: "2" });
  await cached.ping();
  assert.equal(await cached.hGet("h", "field"), "2");
  await cached.set("h2", "mine");
  assert.equal(await cached.get("h2"), "mine");
  await cached.set("h2", "new");
  assert.equal(await cached.get("h2"), "new");
  console.log("ok its own changes count");

  await writer.flushAll();
  await cached.ping();
  assert.equal(await cached.get("k"), null);
  console.log("ok a flush empties it");

  await cached.close();
  await writer.close();
}

main().catch((error) => {
  console.error("FAILED:", error);
  process.exit(1);
});
