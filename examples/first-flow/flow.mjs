// The first flow: accounts, an administrator's schema, rows under row level security, realtime
// messages from a trigger, and the dashboard's change events. Every step checks what it got.
//
// The clients are handed in, so that tests can run the same flow with their own.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

/**
 * @param {object} given
 * @param {typeof import('@insforge/sdk')} given.sdk
 * @param {typeof import('socket.io-client').io} given.io
 * @param {Record<string, string>} given.stack the variables of stack.env
 * @param {(step: string, detail: string) => void} given.say
 */
export async function firstFlow({ sdk, io, stack, say }) {
  const flow = {
    sdk,
    io,
    say,
    baseUrl: stack.BASE_URL,
    anonKey: stack.ANON_KEY,
    apiKey: stack.API_KEY,
    // Several nodes: then two clients must be able to sit on different ones.
    nodes: (stack.REALTIME_FANOUT_ADDRESSES ?? '').split(',').filter(Boolean).length,
    table: `first_flow_${randomBytes(4).toString('hex')}`,
  };
  try {
    flow.alice = await accounts(flow);
    flow.bob = await signUp(flow, 'bob');
    await schema(flow);
    await rows(flow);
    await realtime(flow);
    await dashboard(flow);
  } finally {
    await administer(flow, 'DELETE', `/api/database/tables/${flow.table}`).catch(() => {});
  }
}

// 1. Accounts -----------------------------------------------------------------------------------

async function accounts(flow) {
  const alice = await signUp(flow, 'alice');
  flow.say('1 accounts', `signed up ${alice.email}`);

  // As an app on a phone or on a server: no cookies, the caller keeps the tokens.
  const client = flow.sdk.createClient({ ...endpoint(flow), isServerMode: true });
  const { email, password } = alice;
  const { user, accessToken, refreshToken } = ok(
    await client.auth.signInWithPassword({ email, password }),
  );
  assert.equal(user.email, email);
  const bearer = flow.sdk.createClient({ baseUrl: flow.baseUrl, accessToken });
  assert.equal(ok(await bearer.auth.getCurrentUser()).user.id, user.id);
  flow.say('1 accounts', 'signed in, and the current user is she');

  const refreshed = ok(await client.auth.refreshSession({ refreshToken }));
  assert.equal(refreshed.user.id, user.id);
  assert.ok(refreshed.accessToken && refreshed.refreshToken);
  flow.say('1 accounts', 'refreshed as a mobile app does, with the token in the body');

  await refreshByCookie(flow, alice);
  flow.say('1 accounts', 'refreshed as a browser does, with cookie and CSRF token');

  assert.equal((await client.auth.signOut()).error, null);
  flow.say('1 accounts', 'signed out');
  return alice;
}

async function signUp(flow, name) {
  const account = {
    email: `${name}-${randomBytes(4).toString('hex')}@example.com`,
    password: randomBytes(12).toString('base64url'),
    name,
  };
  const client = flow.sdk.createClient(endpoint(flow));
  const { user, accessToken } = ok(await client.auth.signUp(account));
  assert.equal(user.email, account.email);
  assert.ok(accessToken);
  return { ...account, id: user.id };
}

/** What a browser does by itself: keep the cookie, send the CSRF token beside it. */
async function refreshByCookie(flow, { email, password }) {
  const signedIn = await fetch(`${flow.baseUrl}/api/auth/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  assert.equal(signedIn.status, 200);
  const { csrfToken, refreshToken } = await signedIn.json();
  assert.equal(refreshToken, undefined, 'a browser must not see the refresh token');
  const cookie = signedIn.headers.get('set-cookie').split(';')[0];

  const refresh = (headers) =>
    fetch(`${flow.baseUrl}/api/auth/refresh`, { method: 'POST', headers: { cookie, ...headers } });
  assert.equal((await refresh({})).status, 403, 'no CSRF token');
  const refreshed = await refresh({ 'x-csrf-token': csrfToken });
  assert.equal(refreshed.status, 200);
  assert.equal((await refreshed.json()).user.email, email);
}

// 2. The administrator's schema -----------------------------------------------------------------

async function schema(flow) {
  const { table } = flow;
  const created = await administer(flow, 'POST', '/api/database/tables', {
    tableName: table,
    columns: [
      { columnName: 'title', type: 'string', isNullable: false, isUnique: false },
      { columnName: 'stars', type: 'integer', isNullable: true, isUnique: false },
      { columnName: 'owner', type: 'uuid', isNullable: true, isUnique: false },
    ],
    rlsEnabled: true,
  });
  assert.equal(created.tableName, table);
  flow.say('2 schema', `created table ${table}`);

  await administer(flow, 'POST', '/api/database/advance/rawsql', {
    query: `
      alter table public.${table} alter column owner set default auth.uid();
      create policy ${table}_own on public.${table} for all to authenticated
        using (owner = auth.uid()) with check (owner = auth.uid());

      create function public.${table}_stars() returns bigint
        language sql stable as 'select coalesce(sum(stars), 0) from public.${table}';

      insert into realtime.channels (pattern, description)
        values ('${table.replaceAll('_', '-')}:%', 'Notes of one user');

      create function public.${table}_announce() returns trigger
        language plpgsql security definer set search_path = '' as $$
      begin
        perform realtime.publish(
          '${table.replaceAll('_', '-')}:' || new.owner, 'note_created', to_jsonb(new));
        return new;
      end $$;
      create trigger ${table}_announce after insert on public.${table}
        for each row execute function public.${table}_announce();`,
  });
  const [{ answer }] = (
    await administer(flow, 'POST', '/api/database/advance/rawsql', {
      query: `select count(*)::int as answer from public.${table}`,
    })
  ).rows;
  assert.equal(answer, 0);
  flow.say('2 schema', 'policy, SQL function and publishing trigger by raw SQL');
}

async function administer(flow, method, path, body) {
  const answer = await fetch(flow.baseUrl + path, {
    method,
    headers: { authorization: `Bearer ${flow.apiKey}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

// 3. Rows under row level security --------------------------------------------------------------

async function rows(flow) {
  const alice = await signedIn(flow, flow.alice);
  const bob = await signedIn(flow, flow.bob);
  const notes = (client) => client.database.from(flow.table);

  const first = await until('the new table is known to the records service', async () => {
    const { data, error } = await notes(alice).insert({ title: 'first', stars: 1 }).select();
    return error ? undefined : data[0];
  });
  assert.equal(first.owner, flow.alice.id);
  ok(await notes(alice).insert([{ title: 'second', stars: 2 }, { title: 'third', stars: 3 }]));
  ok(await notes(bob).insert({ title: 'secret', stars: 100 }));

  const best = ok(
    await notes(alice)
      .select('title, stars')
      .gte('stars', 2)
      .order('stars', { ascending: false })
      .limit(1),
  );
  assert.deepEqual(best, [{ title: 'third', stars: 3 }]);
  const { data, count } = await notes(alice).select('*', { count: 'exact' });
  assert.equal(count, 3);
  assert.ok(data.every((row) => row.owner === flow.alice.id), "nobody sees another's rows");
  flow.say('3 rows', 'inserted and read with filter, order and limit, own rows only');

  const changed = ok(await notes(alice).update({ stars: 5 }).eq('title', 'first').select('stars'));
  assert.deepEqual(changed, [{ stars: 5 }]);
  const foreign = ok(await notes(bob).update({ stars: 0 }).eq('title', 'first').select());
  assert.deepEqual(foreign, []);
  const gone = ok(await notes(alice).delete().eq('title', 'second').select('title'));
  assert.deepEqual(gone, [{ title: 'second' }]);
  const forged = await notes(bob).insert({ title: 'forged', owner: flow.alice.id });
  assert.equal(forged.error?.code, '42501');
  flow.say('3 rows', 'updated and deleted; the policy stops a stranger');

  assert.equal(ok(await alice.database.rpc(`${flow.table}_stars`)), 8);
  assert.equal(ok(await bob.database.rpc(`${flow.table}_stars`)), 100);
  flow.say('3 rows', 'called an SQL function');
}

async function signedIn(flow, { email, password }) {
  const client = flow.sdk.createClient(endpoint(flow));
  client.session = ok(await client.auth.signInWithPassword({ email, password }));
  return client;
}

// 4. Realtime -----------------------------------------------------------------------------------

async function realtime(flow) {
  const alice = await signedIn(flow, flow.alice);
  const token = alice.session.accessToken;
  const channel = `${flow.table.replaceAll('_', '-')}:${flow.alice.id}`;

  await alice.realtime.connect();
  const bySdk = received((listener) => alice.realtime.on('note_created', listener));
  assert.equal((await alice.realtime.subscribe(channel)).ok, true);

  const sockets = [];
  try {
    const auth = { token };
    const polling = await connect(flow, sockets, { transports: ['polling'], auth });
    const webSocket = await connectElsewhere(flow, sockets, nodeOf(polling), { auth });
    await until('the connection is a WebSocket', async () =>
      webSocket.io.engine.transport.name === 'websocket' ? true : undefined,
    );
    const events = [polling, webSocket].map((socket) =>
      received((listener) => socket.on('note_created', listener)),
    );
    for (const socket of [polling, webSocket]) {
      const answer = await socket.timeout(10_000).emitWithAck('realtime:subscribe', { channel });
      assert.equal(answer.ok, true, JSON.stringify(answer));
    }
    const stranger = await signedIn(flow, flow.bob);
    ok(await stranger.database.from(flow.table).insert({ title: 'elsewhere' }));
    ok(await alice.database.from(flow.table).insert({ title: 'for all of you' }));

    for (const event of await inTime('the published event', Promise.all([bySdk, ...events]))) {
      assert.equal(event.title, 'for all of you', 'only the own channel is heard');
      assert.equal(event.meta.channel, `realtime:${channel}`);
    }
    const where = [polling, webSocket].map(nodeOf).join(' and ');
    flow.say('4 realtime', 'SDK, polling and WebSocket clients got what the trigger published');
    flow.say('4 realtime', `they sat on nodes ${where}`);
  } finally {
    alice.realtime.disconnect();
    sockets.forEach((socket) => socket.disconnect());
  }
}

/**
 * The node that owns a connection: the first eight characters of its Engine.IO session. One that
 * began as a WebSocket does not tell, for nobody needs to find its node again.
 */
const nodeOf = (socket) => socket.io.engine.id.slice(0, 8);

async function connect(flow, sockets, options) {
  const socket = flow.io(flow.baseUrl, { forceNew: true, reconnection: false, ...options });
  sockets.push(socket);
  const connected = new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  await inTime('a Socket.IO connection', connected);
  return socket;
}

/** Connects until the edge chooses another node than `taken`, if there is another. */
async function connectElsewhere(flow, sockets, taken, options) {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const socket = await connect(flow, sockets, options);
    if (flow.nodes < 2 || nodeOf(socket) !== taken) {
      return socket;
    }
    socket.disconnect();
  }
  throw new Error('every connection went to the same node');
}

// 5. The dashboard's change events ---------------------------------------------------------------

async function dashboard(flow) {
  const sockets = [];
  try {
    const socket = await connect(flow, sockets, { auth: { apiKey: flow.apiKey } });
    const alice = await signedIn(flow, flow.alice);
    const update = () => received((listener) => socket.once('data:update', listener));

    const afterPost = update();
    ok(await alice.database.from(flow.table).insert({ title: 'watched' }));
    expectChange(await inTime('data:update after the POST', afterPost), flow.table);
    const afterDelete = update();
    ok(await alice.database.from(flow.table).delete().eq('title', 'watched'));
    expectChange(await inTime('data:update after the DELETE', afterDelete), flow.table);
    flow.say('5 dashboard', 'an admin socket heard of the POST and of the DELETE');
  } finally {
    sockets.forEach((socket) => socket.disconnect());
  }
}

function expectChange(update, table) {
  assert.equal(update.resource, 'database');
  assert.deepEqual(update.data.changes, [{ type: 'records', name: table }]);
}

// Small tools -------------------------------------------------------------------------------------

const endpoint = ({ baseUrl, anonKey }) => ({ baseUrl, anonKey });

/** The data of an answer of the SDK, which must be no error. */
function ok({ data, error }) {
  assert.equal(error, null, JSON.stringify(error));
  return data;
}

/** The first event that a listener gets. */
const received = (listen) => new Promise((resolve) => listen(resolve));

/** Waits for a promise, but not for ever. */
async function inTime(what, promise, milliseconds = 15_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms for ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Repeats `attempt` until it returns something. */
async function until(what, attempt, milliseconds = 10_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await attempt();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`waited ${milliseconds} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
