import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** A span as it was sent. Ids in hexadecimal. */
export interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: none. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly isError: boolean;
  /** Of the process that sent it. */
  readonly resource: Readonly<Record<string, string | number>>;
}

/** Takes traces over OTLP as a collector does: protobuf over HTTP. */
export interface OtlpReceiver {
  readonly url: string;
  readonly spans: readonly SentSpan[];
  /** Everything that was sent, as it came. */
  bytes(): Buffer;
  stop(): Promise<void>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const bodies: Buffer[] = [];
  const spans: SentSpan[] = [];
  const server = createServer((request, response) => void (async () => {
    const pieces: Buffer[] = [];
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
    const sent = request.headers['content-encoding'] === 'gzip' ? gunzipSync(Buffer.concat(pieces)) : Buffer.concat(pieces);
    if (request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/x-protobuf') throw new Error(`${request.url} with ${request.headers['content-type']}`);
    bodies.push(sent);
    spans.push(...spansOf(sent));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  })().catch((error: Error) => response.writeHead(400).end(error.message)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans,
    bytes: () => Buffer.concat(bodies),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

// By the numbers of opentelemetry/proto/trace/v1/trace.proto: the few fields that tests look at.

function spansOf(request: Buffer): SentSpan[] {
  return messages(request, 1).flatMap((ofResource) => {
    const resource = Object.fromEntries(messages(ofResource, 1).flatMap((one) => attributesOf(one, 1)));
    return messages(ofResource, 2).flatMap((ofScope) => messages(ofScope, 2)).map((span) => ({
      traceId: bytesOf(span, 1).toString('hex'), spanId: bytesOf(span, 2).toString('hex'), parentSpanId: bytesOf(span, 4).toString('hex'),
      name: bytesOf(span, 5).toString('utf8'), attributes: Object.fromEntries(attributesOf(span, 9)),
      isError: messages(span, 15).some((status) => fieldsOf(status).get(3)?.[0] === 2n), resource,
    }));
  });
}

function attributesOf(message: Buffer, field: number): [string, string | number][] {
  return messages(message, field).map((pair) => [bytesOf(pair, 1).toString('utf8'), valueOf(bytesOf(pair, 2))]);
}

function valueOf(value: Buffer): string | number {
  const [[field, [first] = []] = []] = [...fieldsOf(value)];
  return field === 1 && Buffer.isBuffer(first) ? first.toString('utf8') : Number(first);
}

const messages = (message: Buffer, field: number): Buffer[] => (fieldsOf(message).get(field) ?? []).filter((value) => Buffer.isBuffer(value));
const bytesOf = (message: Buffer, field: number): Buffer => messages(message, field)[0] ?? Buffer.alloc(0);

/** Protobuf's wire format: numbers of fields, each with what stands there. */
function fieldsOf(message: Buffer): Map<number, (bigint | Buffer)[]> {
  const fields = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at] ?? 0;
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (bytes: number) => message.subarray(at, at += bytes);
  const valueOfType = (type: number) => {
    switch (type) {
      case 0: return varint();
      case 1: return take(8);
      case 2: return take(Number(varint()));
      case 5: return take(4);
      default: throw new Error(`wire type ${type}`);
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const value = valueOfType(tag & 7);
    fields.set(tag >>> 3, [...(fields.get(tag >>> 3) ?? []), value]);
  }
  return fields;
}
