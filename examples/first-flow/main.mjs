// Runs the first flow against the stack that `make up` started, and prints each step.
//   npm ci && npm start [-- path/to/stack.env]
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as sdk from '@insforge/sdk';
import { io } from 'socket.io-client';
import { firstFlow } from './flow.mjs';
import { parseStack } from './stack.mjs';

const file = process.argv[2] ?? fileURLToPath(new URL('../../.ingot/stack.env', import.meta.url));
const stack = parseStack(readFileSync(file, 'utf8'));

await firstFlow({
  sdk,
  io,
  stack,
  say: (step, detail) => console.log(`${step.padEnd(12)} ${detail}`),
});
console.log('\nAll five steps work.');
process.exit(0);
