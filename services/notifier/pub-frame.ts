import { positionOutside } from '#schemas/positions.ts';
import { WHO_READS_STREAMS } from '#shared/read-store/readable.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { Position } from '#schemas/brand.ts';

/** A fact that may be told: written down once, for all who listen. */
export interface ToldFact {
  readonly position: Position;
  /** As clients see it. */
  readonly outside: string;
  readonly key: string;
  /** Of a project's fact that names a codebase: it is told to who reads that too. */
  readonly codebase: string | undefined;
  /** Who reads a codebase is told to system admins alone. */
  readonly isForReaders: boolean;
  /** What every frame of it ends with. */
  readonly rest: string;
}

export function toldFact(epoch: string, fact: Recorded): ToldFact {
  const { type, id, time, key, traceparent, data } = fact;
  const codebase = fact.stream.startsWith('project-') ? (data as { readonly codebaseId?: string }).codebaseId : undefined;
  return { position: fact.position, outside: positionOutside(epoch, fact.position), key, codebase, isForReaders: !fact.stream.startsWith(WHO_READS_STREAMS), rest: `,${JSON.stringify({ type, id, time, key, traceparent, data }).slice(1)}` };
}

/** `channel` is JSON: the one of a socket, or the list of a stream. `previous` is the position told before. */
export type EncodePub = (fact: ToldFact, channel: string, previous: string) => Buffer;

/** A whole WebSocket frame: a server's frames are not masked, so that one buffer serves every socket. */
export const socketPub: EncodePub = (fact, channel, previous) =>
  textFrame(`{"op":"pub","ch":${channel},"position":"${fact.outside}","previous":"${previous}"${fact.rest}`);

/** A whole server-sent event. JSON holds no line break, so its data is one line. */
export const streamPub: EncodePub = (fact, channel, previous) =>
  Buffer.from(`id: ${fact.outside}\nevent: pub\ndata: {"channels":${channel},"position":"${fact.outside}","previous":"${previous}"${fact.rest}\n\n`);

/** RFC 6455, section 5.2: FIN and the text opcode, then the length in 7, 16 or 64 bits. */
const FIN_AND_TEXT = 0x81;
const LENGTH_OF_16_BITS = 126;
const LENGTH_OF_64_BITS = 127;

function textFrame(text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  const header = bytes < LENGTH_OF_16_BITS ? 2 : bytes < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + bytes);
  frame[0] = FIN_AND_TEXT;
  if (header === 2) frame[1] = bytes;
  else if (header === 4) { frame[1] = LENGTH_OF_16_BITS; frame.writeUInt16BE(bytes, 2); } else { frame[1] = LENGTH_OF_64_BITS; frame.writeBigUInt64BE(BigInt(bytes), 2); }
  frame.write(text, header);
  return frame;
}

/** Frames of one fact, each made once: those who stand at the same place on the same channel get the very same buffer. */
export type Frames = (encode: EncodePub, channel: string, previous: string) => Buffer;

export function createFrames(fact: ToldFact): Frames {
  const made = new Map<EncodePub, Map<string, Map<string, Buffer>>>();
  let last: { encode: EncodePub; channel: string; previous: string; frame: Buffer } | undefined;
  return (encode, channel, previous) => {
    // Most of a channel stand where the one before stood.
    if (last !== undefined && last.previous === previous && last.channel === channel && last.encode === encode) return last.frame;
    const ofChannel = inside(inside(made, encode), channel);
    const frame = ofChannel.get(previous) ?? encode(fact, channel, previous);
    ofChannel.set(previous, frame);
    last = { encode, channel, previous, frame };
    return frame;
  };
}

function inside<Key, Inner, Value>(map: Map<Key, Map<Inner, Value>>, key: Key): Map<Inner, Value> {
  const found = map.get(key) ?? new Map<Inner, Value>();
  map.set(key, found);
  return found;
}
