// Prints the variables of the stack.env that STACK names, as one JSON line.
import { readFileSync } from 'node:fs';
import { parseStack } from '../../../examples/first-flow/stack.mjs';

console.log(JSON.stringify(parseStack(readFileSync(process.env.STACK, 'utf8'))));
