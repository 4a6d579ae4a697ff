// Node's socket.io server. Sockets join a room; GET /emit?rate=…&seconds=…&bytes=… broadcasts to it.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer((request, response) => {
  const { searchParams } = new URL(request.url, 'http://peer');
  const number = (name) => Number(searchParams.get(name));
  const [rate, seconds] = [number('rate'), number('seconds')];
  const text = 'x'.repeat(number('bytes'));
  let sent = 0;
  const begin = performance.now();
  const timer = setInterval(() => {
    const due = Math.min(((performance.now() - begin) / 1000) * rate, rate * seconds);
    for (; sent < due; sent += 1) io.to('bench').emit('m', { text });
    if (sent >= rate * seconds) {
      clearInterval(timer);
      response.end(String(sent));
    }
  }, 1000 / rate);
});
const io = new Server(http);
io.on('connection', (socket) => {
  socket.on('join', (room, done) => {
    socket.join(room);
    done();
  });
});
http.listen(Number(process.env.PORT), '127.0.0.1');
