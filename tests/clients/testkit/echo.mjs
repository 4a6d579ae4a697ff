// Reports its environment and the packages, then answers each line of its input until it ends.
import { createInterface } from 'node:readline';
import { createClient } from '@insforge/sdk';
import { io } from 'socket.io-client';
import { PostgrestClient } from '@supabase/postgrest-js';

const say = (value) => console.log(JSON.stringify(value));
say({
  greeting: process.env.GREETING,
  packages: [createClient, io, PostgrestClient].map((it) => typeof it),
});
for await (const line of createInterface({ input: process.stdin })) {
  say({ heard: JSON.parse(line) });
}
if (process.env.FAIL) {
  console.error('asked to fail');
  process.exit(3);
}
