import { crc32 } from 'node:zlib';
import { createReadStream, mkdirSync } from 'node:fs';
import { open, readdir, readFile, truncate, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { createGroupCommit } from '#shared/runtime/group-commit.ts';
import type { Logger } from '#shared/runtime/logger.ts';

/** A segment is closed at this size, so that drained ones can go: the largest entry is a 25 MiB body in base64. */
const SEGMENT_BYTES_MAX = 64 * 1_048_576;
const GROUP_ITEMS_MAX = 256;
const NEWLINE = 0x0a;

export interface Spool<Entry> {
  /** Durable once it resolves to true; false when the spool is full. @throws when the disk refuses. */
  add(entry: Entry): Promise<boolean>;
  /** Nothing waits, and nothing is being added; a file of which everything was taken may still be there. */
  readonly isEmpty: boolean;
  readonly bytes: number;
  /**
   * Gives every entry in order to `take`, and forgets it once that resolves. Stops where `take` throws, and goes on there.
   * What cannot be read (a flipped bit), or what `take` refuses, is kept beside in a file ending in `.refused`, and told to the log.
   * One drain at a time. After a restart, what was taken from a segment that was not finished is given again.
   */
  drain(take: (entry: Entry) => Promise<'taken' | 'refused'>): Promise<void>;
  close(): Promise<void>;
}

interface Segment {
  readonly name: string;
  bytes: number;
  /** Every entry was taken; only the file is still there, as where the folder has turned read-only. */
  isTaken: boolean;
}

/**
 * An append-only file beside the engine for what must not be lost while the log is away: lines of `<crc32> <json>`,
 * one fsync for all that arrive together. A torn last line was never acknowledged and is cut off at start.
 */
export async function openSpool<Entry>(options: { directory: string; bytesMax: number; logger: Logger }): Promise<Spool<Entry>> {
  const { directory, bytesMax, logger } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const segments = await findSegments(directory, logger);
  /** Never given twice: a drained segment's file may still be on its way out when the next is made. */
  let newest = Number.parseInt(segments.at(-1)?.name ?? '0', 10);
  let writing: { readonly file: FileHandle; readonly segment: Segment } | undefined;
  let committing: Promise<unknown> = Promise.resolve();
  let adding = 0;
  /** Of what is being added: the bound counts it before it is written. */
  let bytesComing = 0;
  /** How far `take` has had the oldest segment already. */
  let bytesTaken = 0;
  const bytesKept = () => segments.reduce((sum, segment) => sum + segment.bytes, 0);

  const commits = createGroupCommit<Buffer, void>({
    itemsMax: GROUP_ITEMS_MAX,
    bytesMax: SEGMENT_BYTES_MAX,
    bytesOf: (line) => line.length,
    commit(lines) {
      const written = write(Buffer.concat(lines));
      committing = written.catch(() => undefined);
      return written.then(() => lines.map(() => undefined));
    },
  });

  return {
    get isEmpty() { return segments.every(({ isTaken }) => isTaken) && adding === 0; },
    get bytes() { return bytesKept(); },

    async add(entry) {
      const line = lineOf(entry);
      if (bytesKept() + bytesComing + line.length > bytesMax) return false;
      adding += 1;
      bytesComing += line.length;
      try {
        await commits.add(line);
        return true;
      } finally {
        adding -= 1;
        bytesComing -= line.length;
      }
    },

    async drain(take) {
      for (let oldest = segments[0]; oldest !== undefined; oldest = segments[0]) await drainSegment(oldest, take);
    },

    async close() {
      await committing;
      await writing?.file.close();
    },
  };

  async function write(chunk: Buffer): Promise<void> {
    const target = await segmentToWrite();
    try {
      await target.file.appendFile(chunk);
      await target.file.datasync();
    } catch (error) {
      // Part of it may stand there: what follows a torn line would be read with it, so the next add begins a new segment.
      if (writing === target) writing = undefined;
      await target.file.truncate(target.segment.bytes).catch(() => undefined);
      await target.file.close().catch(() => undefined);
      throw error;
    }
    target.segment.bytes += chunk.length;
  }

  async function segmentToWrite(): Promise<NonNullable<typeof writing>> {
    if (writing !== undefined && writing.segment.bytes < SEGMENT_BYTES_MAX) return writing;
    const full = writing;
    writing = undefined;
    await full?.file.close();
    newest += 1;
    const segment = { name: `${String(newest).padStart(12, '0')}.spool`, bytes: 0, isTaken: false };
    const file = await open(path.join(directory, segment.name), 'wx', 0o600);
    await syncFolder(directory).catch(async (error: unknown) => { await file.close(); throw error; });
    // Both at once: a drain seals what is written into by looking at `writing`.
    segments.push(segment);
    writing = { file, segment };
    return writing;
  }

  /** From here on adds go into another segment; resolves when nothing is written into this one any more. */
  async function seal(segment: Segment): Promise<void> {
    if (writing?.segment !== segment) return void (await committing);
    const { file } = writing;
    writing = undefined;
    await committing;
    await file.close();
  }

  /** Forgets the segment once every entry of it was taken. */
  async function drainSegment(segment: Segment, take: (entry: Entry) => Promise<'taken' | 'refused'>): Promise<void> {
    const file = path.join(directory, segment.name);
    if (!segment.isTaken) {
      await seal(segment);
      for await (const line of linesFrom(file, bytesTaken)) {
        const entry = readLine<Entry>(line);
        if (entry === undefined || (await take(entry)) === 'refused') await setAside(file, { line, logger });
        bytesTaken += line.length + 1;
      }
      segment.isTaken = true;
    }
    await unlink(file);
    segments.shift();
    bytesTaken = 0;
  }
}

async function setAside(file: string, { line, logger }: { line: Buffer; logger: Logger }): Promise<void> {
  logger.error({ file }, 'an entry of the spool is damaged or was refused; it is kept in a file ending in .refused');
  const kept = await open(`${file}.refused`, 'a', 0o600);
  try {
    await kept.appendFile(Buffer.concat([line, Buffer.of(NEWLINE)]));
    await kept.datasync();
  } finally {
    await kept.close();
  }
}

/** Oldest first, each without its torn last line. */
async function findSegments(directory: string, logger: Logger): Promise<Segment[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.spool')).sort();
  const segments: Segment[] = [];
  for (const name of names) segments.push({ name, bytes: await cutTornTail(path.join(directory, name), logger), isTaken: false });
  return segments;
}

/** Whole lines of a file, from a place in it on. What stands behind the last newline was never acknowledged. */
async function* linesFrom(file: string, start: number): AsyncGenerator<Buffer, void, void> {
  let begun: Buffer[] = [];
  for await (const piece of createReadStream(file, { start }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...begun, piece.subarray(from, end)]);
      begun = [];
      from = end + 1;
    }
    begun.push(piece.subarray(from));
  }
}

function lineOf(entry: unknown): Buffer {
  const json = JSON.stringify(entry);
  return Buffer.from(`${crcOf(json)} ${json}\n`);
}

/** Undefined when it is not what was written. */
function readLine<Entry>(line: Buffer): Entry | undefined {
  const json = line.subarray(9);
  return line.toString('latin1', 0, 9) === `${crcOf(json)} ` ? (JSON.parse(json.toString('utf8')) as Entry) : undefined;
}

const crcOf = (json: string | Buffer) => crc32(json).toString(16).padStart(8, '0');

/** Bytes that are left. */
async function cutTornTail(file: string, logger: Logger): Promise<number> {
  const content = await readFile(file);
  const whole = content.lastIndexOf(NEWLINE) + 1;
  if (whole === content.length) return whole;
  logger.warn({ file, bytes: content.length - whole }, 'cut off a torn last entry that was never acknowledged');
  await truncate(file, whole);
  return whole;
}

async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r');
  await folder.sync().finally(() => folder.close());
}
