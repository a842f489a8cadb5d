import { once } from 'node:events';
import { connect } from 'node:net';
import { createHttpDoor, type HttpDoor } from './http-door.ts';
import { createLogger } from './logger.ts';
import { readRaw } from './read-raw.ts';

const BYTES_MAX = 1_000;
let door: HttpDoor;
let port: number;
const bodies: Buffer[] = [];

beforeEach(async () => {
  door = createHttpDoor({ logger: createLogger('silent'), host: '127.0.0.1' });
  door.use(readRaw({ bytesMax: BYTES_MAX, inHandMax: 3 * BYTES_MAX }));
  door.use((request, response) => { bodies.push(request.body as Buffer); response.json({ bytes: (request.body as Buffer).length }); });
  port = await door.listen(0);
  bodies.splice(0);
});
afterEach(async () => { await door.close(); });

const send = (body: Buffer | string, headers: Record<string, string> = {}) => fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: body as string, headers: { ...headers, connection: 'close' } });

/** Speaks HTTP by hand; answers everything that came until the connection ended. */
async function speak(...pieces: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const heard: Buffer[] = [];
  socket.on('data', (piece: Buffer) => heard.push(piece));
  socket.on('error', () => undefined);
  for (const piece of pieces) socket.write(piece);
  await once(socket, 'close');
  return Buffer.concat(heard).toString();
}

test('the bytes are what was sent, whatever they are, up to the bound', async () => {
  const body = Buffer.from(Array.from({ length: BYTES_MAX }, (_, index) => index % 256));
  expect((await send(body)).status).toBe(200);
  expect((await send('')).status).toBe(200);
  expect(bodies).toEqual([body, Buffer.alloc(0)]);
});

test('one byte more is refused, by its announced length', async () => {
  const answer = await send(Buffer.alloc(BYTES_MAX + 1));
  expect({ status: answer.status, body: await answer.json() }).toMatchObject({ status: 413, body: { code: 'body-too-large' } });
  expect(bodies).toEqual([]);
});

test('a body that announces little, or nothing, and sends more is refused when it is seen, not when it ends', async () => {
  const chunk = `${(BYTES_MAX + 1).toString(16)}\r\n${'x'.repeat(BYTES_MAX + 1)}\r\n`;
  // The last chunk never comes; the connection ends all the same.
  const heard = await speak('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n', chunk);
  expect(heard).toMatch(/^HTTP\/1\.1 413 /);
  expect(bodies).toEqual([]);
});

test('an encoded body is refused: what was signed are the bytes before', async () => {
  const answer = await send('x', { 'content-encoding': 'gzip' });
  expect({ status: answer.status, body: await answer.json() }).toMatchObject({ status: 415, body: { code: 'encoded-body' } });
});

test('a body that is cut off reaches nobody', async () => {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf');
  await once(socket, 'connect');
  socket.end();
  await once(socket, 'close');
  expect((await send('whole')).status).toBe(200);
  expect(bodies.map(String)).toEqual(['whole']);
});

test('of all bodies together so much is held and no more: one beyond is told to come again, and may when the others have ended', async () => {
  const begun = [0, 1, 2].map(() => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${BYTES_MAX}\r\n\r\n${'x'.repeat(BYTES_MAX - 1)}`);
    return socket;
  });
  const untilAnswered = async (status: number) => {
    for (const end = performance.now() + 20_000; performance.now() < end;) {
      const answer = await send(Buffer.alloc(100));
      if (answer.status === status) return answer.json() as Promise<object>;
    }
    throw new Error(`never ${status}`);
  };
  expect(await untilAnswered(503)).toMatchObject({ code: 'too-much-at-once' });
  for (const socket of begun) socket.destroy();
  expect(await untilAnswered(200)).toEqual({ bytes: 100 });
});
