import { once } from 'node:events';
import { WebSocket } from 'ws';

// The other end of bench/fan-out.ts, in a process of its own: opens sockets, and says when what was announced has come to all.

const [url = '', token = '', count = '0', isOurs = ''] = process.argv.slice(2);
const AT = Buffer.from('"at":');
const lags: number[] = [];
let received = 0;
let expected = Infinity;

const sockets = Array.from({ length: Number(count) }, () => new WebSocket(url, { headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false }));
for (const socket of sockets) {
  socket.on('message', (bytes: Buffer) => {
    const at = bytes.indexOf(AT);
    if (at < 0) return;
    received += 1;
    lags.push(performance.timeOrigin + performance.now() - Number(bytes.toString('latin1', at + AT.length, bytes.indexOf('}', at))));
    if (received === expected) finish();
  });
}
await Promise.all(sockets.map(async (socket) => {
  if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open');
  if (isOurs === 'ours') {
    const subscribed = new Promise<void>((resolve) => { socket.on('message', function listen(bytes: Buffer) { if (bytes.includes('"subscribed"')) { socket.off('message', listen); resolve(); } }); });
    socket.send(JSON.stringify({ op: 'subscribe', ch: 'all' }));
    await subscribed;
  }
}));
process.on('message', (facts: number) => {
  expected = facts * sockets.length;
  if (received === expected) finish();
});
process.send?.({ isReady: true });

function finish(): void {
  lags.sort((a, b) => a - b);
  const at = (share: number) => lags[Math.floor((lags.length - 1) * share)] ?? 0;
  process.send?.({ p50: at(0.5), p99: at(0.99) });
  lags.length = 0;
  received = 0;
  expected = Infinity;
}
