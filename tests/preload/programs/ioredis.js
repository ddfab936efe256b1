// ioredis on Node: libuv registers descriptors through io_uring where it can, and waits with epoll.
'use strict';
const assert = require('assert');
const Redis = require('ioredis');
const [mode, path] = process.argv.slice(2);

async function exchange() {
    const db = new Redis(path);
    for (let number = 0; number < 300; number++) {
        assert.strictEqual(await db.set('key', number), 'OK');
        assert.strictEqual(await db.get('key'), String(number));
    }
    const large = 'z'.repeat(3e6);
    await db.set('large', large);
    assert.strictEqual(await db.get('large'), large);
    const answers = await Promise.all(Array.from({length: 5000}, (_, number) => db.echo(`${number}`)));
    answers.forEach((answer, number) => assert.strictEqual(answer, String(number)));
    const channel = new Redis(path);
    const heard = new Promise(resolve => channel.on('message', (name, text) => resolve(text)));
    await channel.subscribe('events');
    await db.publish('events', 'hello');
    assert.strictEqual(await heard, 'hello');
    channel.disconnect();
    await db.quit();
    console.log('done');
}

async function survive() {
    const db = new Redis(path, {retryStrategy: () => null, lazyConnect: true});
    db.on('error', () => {});
    await db.connect();
    const ended = new Promise(resolve => db.on('end', resolve));
    assert.strictEqual(await db.ping(), 'PONG');
    console.log('ready'); // from here on it sleeps in its event loop, with nothing outstanding
    await ended;
    console.log('told');
    await new Promise(resolve => process.stdin.once('data', resolve));
    await db.connect();
    assert.strictEqual(await db.set('again', 1), 'OK');
    console.log('back');
    db.disconnect();
    process.stdin.destroy();
}

(mode === 'survive' ? survive() : exchange()).catch(fault => {
    console.error(fault);
    process.exit(1);
});
