// Drives any number of socket.io-client sockets. Each line of its input is a command:
//   {"do":"connect","socket":"a","url":…,"auth":{…},"transports":[…],"headers":{…}}
//   {"do":"emit","socket":"a","event":…,"args":[…],"ack":true}
//   {"do":"disconnect","socket":"a"}
// What happens to the sockets is printed, one JSON object per line.
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const say = (value) => console.log(JSON.stringify(value));
const sockets = new Map();

function connect({ socket: name, url, auth, transports, headers, reconnect }) {
  const socket = io(url, {
    auth,
    transports,
    extraHeaders: headers,
    forceNew: true,
    reconnection: reconnect ?? false,
    reconnectionDelay: 100,
  });
  sockets.set(name, socket);
  socket.on('connect', () => {
    const transport = socket.io.engine.transport.name;
    say({ socket: name, connected: socket.id, transport, recovered: socket.recovered });
  });
  socket.io.engine.on('upgrade', (transport) => say({ socket: name, upgraded: transport.name }));
  socket.on('connect_error', (error) =>
    say({ socket: name, refused: error.message, data: error.data, active: socket.active }),
  );
  socket.on('disconnect', (reason) => say({ socket: name, disconnected: reason }));
  socket.onAny((event, ...args) => say({ socket: name, event, args }));
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const socket = sockets.get(command.socket);
  switch (command.do) {
    case 'connect':
      connect(command);
      break;
    case 'emit': {
      const args = [...(command.args ?? [])];
      if (command.ack) {
        args.push((...answer) => say({ socket: command.socket, ack: command.event, answer }));
      }
      socket.emit(command.event, ...args);
      break;
    }
    case 'disconnect':
      socket.disconnect();
      break;
    default:
      throw new Error(`unknown command ${line}`);
  }
}
for (const socket of sockets.values()) socket.disconnect();
