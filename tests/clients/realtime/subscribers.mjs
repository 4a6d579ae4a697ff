// Subscribers that note every message and come back when they are cut off, naming the last message
// that they saw. Each line of the input is a command:
//   {"do":"start","edges":[…],"auth":{…},"count":60,"channels":20,"each":2}
//   {"do":"count"}    how many messages all of them have noted, and how many are away
//   {"do":"collect"}  what each has noted, one line per subscriber; then they begin anew
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const say = (value) => console.log(JSON.stringify(value));
const subscribers = [];

/** A subscriber of some channels, at one of the edges, by one of the transports. */
class Subscriber {
  constructor(number, { edges, auth, channels, each }) {
    this.edges = edges;
    this.edge = number % edges.length;
    this.last = new Map();
    this.begin();
    this.channels = Array.from({ length: each }, (_, n) => `chaos:${(number + n * 7) % channels}`);
    // Every third begins by polling, as browsers do.
    const transports = number % 3 === 0 ? ['polling', 'websocket'] : ['websocket'];
    this.socket = io(edges[this.edge], {
      auth,
      transports,
      forceNew: true,
      timeout: 2000,
      reconnectionDelay: 100,
      reconnectionDelayMax: 1000,
    });
    this.ready = new Promise((done) => {
      this.socket.on('connect', () => this.subscribe().then(done));
    });
    this.socket.on('disconnect', () => {
      this.cuts += 1;
      this.absence ??= { begun: Date.now(), paused: 0 };
      this.pausing = Date.now();
    });
    this.measurePauses();
    // As a load balancer in front of the edges would send it.
    this.socket.io.on('reconnect_error', () => {
      this.edge = (this.edge + 1) % edges.length;
      this.socket.io.uri = edges[this.edge];
    });
    this.socket.on('m', ({ r, p, n, meta }) => {
      const channel = meta.channel.slice('realtime:'.length);
      this.last.set(channel, meta.messageId);
      this.noted.push([channel, r, p, n, Date.now()]);
    });
  }

  begin() {
    [this.noted, this.gaps, this.cuts, this.absences] = [[], 0, 0, []];
  }

  /** How long the client itself waits between two attempts is no matter of the servers. */
  measurePauses() {
    const pause = () => (this.pausing = Date.now());
    this.socket.io.on('close', pause);
    this.socket.io.on('reconnect_error', pause);
    this.socket.io.on('reconnect_attempt', () => {
      if (this.absence) this.absence.paused += Date.now() - this.pausing;
    });
  }

  /** It hears all its channels again. */
  isBack(connected) {
    if (!this.absence) return;
    const { begun, paused } = this.absence;
    const [away, subscribing] = [Date.now() - begun, Date.now() - connected];
    this.absences.push({ away, paused, subscribing });
    this.absence = undefined;
  }

  async subscribe() {
    const { id } = this.socket;
    const connected = Date.now();
    for (const channel of this.channels) {
      while (this.socket.id === id && this.socket.connected) {
        const since = this.last.get(channel);
        const answer = await this.socket
          .timeout(5000)
          .emitWithAck('realtime:subscribe', since ? { channel, since } : { channel })
          .catch((error) => ({ ok: false, error: String(error) }));
        if (answer.ok) {
          if (answer.gap) this.gaps += 1;
          break;
        }
        await new Promise((done) => setTimeout(done, 100));
      }
    }
    if (this.socket.id === id && this.socket.connected) this.isBack(connected);
  }
}

const commands = {
  async start(command) {
    for (let n = 0; n < command.count; n += 1) subscribers.push(new Subscriber(n, command));
    await Promise.all(subscribers.map(({ ready }) => ready));
    say({ started: subscribers.map(({ channels }) => channels) });
  },
  count() {
    const away = subscribers.filter(({ socket }) => !socket.connected).length;
    say({ count: subscribers.reduce((sum, { noted }) => sum + noted.length, 0), away });
  },
  collect() {
    for (const subscriber of subscribers) {
      const { noted, gaps, cuts, absences } = subscriber;
      say({ noted, gaps, cuts, absences });
      subscriber.begin();
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  await commands[command.do](command);
}
process.exit(0);
