// One Socket.IO session through two edges, as behind a load balancer that does not care: polling
// at the first, the upgrade at the second, and plain requests at either. Variables of stack.env
// come as environment variables. Prints one JSON line per step.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { io } from 'socket.io-client';

const { API_KEY, EDGE_URLS } = process.env;
const [first, second] = EDGE_URLS.split(',');
assert.notEqual(first, second);
const say = (step, detail) => console.log(JSON.stringify({ step, detail }));
const auth = { apiKey: API_KEY };
const prefix = `two-edges-${randomBytes(4).toString('hex')}`;
const channel = `${prefix}:1`;
/** More than nodes, so that several nodes own sessions. */
const SOCKETS = 6;

await rawSql(first, `insert into realtime.channels (pattern) values ('${prefix}:%')`);
const sockets = [];
for (let n = 0; n < SOCKETS; n += 1) sockets.push(await upgraded());
const nodes = new Set(sockets.map(({ node }) => node));
assert.ok(nodes.size > 1, 'all sessions are on one node');
say('upgraded', `${SOCKETS} sessions on ${nodes.size} nodes, polled at one edge, upgraded at another`);

const polled = await pollByHand();
say('polled', 'every request of a session at another edge');

const heard = sockets.map(({ socket }) => new Promise((done) => socket.once('hello', done)));
for (const { socket } of sockets) {
  const answer = await socket.timeout(10_000).emitWithAck('realtime:subscribe', { channel });
  assert.equal(answer.ok, true, JSON.stringify(answer));
}
await rawSql(second, `select realtime.publish('${channel}', 'hello', '{"n": 1}')`);
for (const message of await Promise.all(heard)) assert.equal(message.n, 1);
say('heard', 'all sessions got the message');

await until('the audience of all nodes is written to the row', async () => {
  const query = `select ws_audience_count as n from realtime.messages where channel_name = '${channel}'`;
  const [{ n }] = (await rawSql(first, query)).rows;
  assert.ok(n <= SOCKETS, `${n} of ${SOCKETS} sockets`);
  return n === SOCKETS;
});
say('counted', `${SOCKETS} sockets`);
sockets.forEach(({ socket }) => socket.disconnect());
await polled.close();
process.exit(0);

/** A socket that begins with polling at the first edge and becomes a WebSocket of the second. */
async function upgraded() {
  const { port } = new URL(second);
  const socket = io(first, { forceNew: true, auth, transportOptions: { websocket: { port } } });
  await new Promise((done, fail) => {
    socket.once('connect', done);
    socket.once('connect_error', fail);
  });
  const { engine } = socket.io;
  const node = engine.id.slice(0, 8);
  if (engine.transport.name !== 'websocket') {
    await new Promise((done) => engine.once('upgrade', done));
  }
  assert.equal(engine.transport.name, 'websocket');
  assert.equal(new URL(engine.transport.ws.url).host, new URL(second).host);
  return { socket, node };
}

/** The polling transport without a client: open here, join there, read here. */
async function pollByHand() {
  const url = (edge, sid) =>
    `${edge}/socket.io/?EIO=4&transport=polling${sid ? `&sid=${sid}` : ''}`;
  const { sid } = JSON.parse((await (await fetch(url(first))).text()).slice(1));
  const post = async (edge, body) => {
    const answer = await fetch(url(edge, sid), { method: 'POST', body });
    assert.equal(await answer.text(), 'ok');
  };
  await post(second, `40${JSON.stringify(auth)}`);
  let packets = [];
  while (!packets.some((packet) => packet.startsWith('40{"sid":'))) {
    packets = (await (await fetch(url(first, sid))).text()).split('\x1e');
    // A ping may come before the answer.
    if (packets.includes('2')) await post(second, '3');
    assert.ok(packets.every((packet) => /^(2$|40)/.test(packet)), JSON.stringify(packets));
  }
  return { close: () => post(second, '1') };
}

async function rawSql(edge, query) {
  const answer = await fetch(`${edge}/api/database/advance/rawsql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${answer.status} ${text}`);
  return JSON.parse(text);
}

async function until(what, done, milliseconds = 15_000) {
  const deadline = Date.now() + milliseconds;
  while (!(await done())) {
    assert.ok(Date.now() < deadline, `waited ${milliseconds} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
