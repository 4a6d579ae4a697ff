// Runs examples/first-flow with the clients of this folder; variables of stack.env come as
// environment variables. Prints one JSON line per step.
import * as sdk from '@insforge/sdk';
import { io } from 'socket.io-client';
import { firstFlow } from '../../../examples/first-flow/flow.mjs';

const say = (step, detail) => console.log(JSON.stringify({ step, detail }));
await firstFlow({ sdk, io, stack: process.env, say });
process.exit(0);
