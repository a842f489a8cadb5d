import { crc32 } from 'node:zlib';
import { mkdirSync } from 'node:fs';
import { open, readdir, readFile, stat, truncate, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { createGroupCommit } from '#shared/runtime/group-commit.ts';
import type { Logger } from '#shared/runtime/logger.ts';

/** A segment is closed at this size, so that drained ones can go: the largest entry is a 25 MiB body in base64. */
const SEGMENT_BYTES_MAX = 64 * 1_048_576;
const GROUP_ITEMS_MAX = 256;

export interface Spool<Entry> {
  /** Durable once it resolves to true; false when the spool is full. @throws when the disk refuses. */
  add(entry: Entry): Promise<boolean>;
  /** Nothing waits, and nothing is being added. */
  readonly isEmpty: boolean;
  readonly bytes: number;
  /**
   * Gives every entry in order to `take`, and forgets it once that resolves. Stops where `take` throws.
   * What cannot be read (a flipped bit), or what `take` refuses, is kept beside in a file ending in `.refused`, and told to the log.
   */
  drain(take: (entry: Entry) => Promise<'taken' | 'refused'>): Promise<void>;
  close(): Promise<void>;
}

/**
 * An append-only file beside the engine for what must not be lost while the log is away: lines of `<crc32> <json>`,
 * one fsync for all that arrive together. A torn last line was never acknowledged and is cut off at start.
 */
export async function openSpool<Entry>(options: { directory: string; bytesMax: number; logger: Logger }): Promise<Spool<Entry>> {
  const { directory, bytesMax, logger } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  let segments = await findSegments();
  let bytes = 0;
  for (const segment of segments) bytes += await cutTornTail(path.join(directory, segment), logger);
  let writing: { file: FileHandle; name: string; bytes: number } | undefined;
  let adding = 0;
  /** Entries of the oldest segment that `take` has had already. */
  let taken = 0;

  const commits = createGroupCommit<string, void>({
    itemsMax: GROUP_ITEMS_MAX,
    bytesMax: SEGMENT_BYTES_MAX,
    bytesOf: (line) => line.length,
    async commit(lines) {
      const target = await segmentToWrite();
      const chunk = Buffer.from(lines.join(''));
      try {
        await target.file.appendFile(chunk);
        await target.file.datasync();
      } catch (error) {
        // Part of it may stand there: what follows a torn line would be read with it, so the next add begins a new segment.
        writing = undefined;
        await target.file.truncate(target.bytes).catch(() => undefined);
        await target.file.close().catch(() => undefined);
        throw error;
      }
      target.bytes += chunk.length;
      bytes += chunk.length;
      return lines.map(() => undefined);
    },
  });

  return {
    get isEmpty() { return segments.length === 0 && adding === 0; },
    get bytes() { return bytes; },

    async add(entry) {
      const line = lineOf(entry);
      if (bytes + line.length > bytesMax) return false;
      adding += 1;
      try {
        await commits.add(line);
        return true;
      } finally {
        adding -= 1;
      }
    },

    async drain(take) {
      for (let oldest = segments[0]; oldest !== undefined; oldest = segments[0]) {
        if (!(await drainSegment(oldest, take))) return;
      }
    },

    async close() { await writing?.file.close(); },
  };

  async function segmentToWrite() {
    if (writing !== undefined && writing.bytes < SEGMENT_BYTES_MAX) return writing;
    await writing?.file.close();
    const name = `${String(Number.parseInt(segments.at(-1) ?? '0', 10) + 1).padStart(12, '0')}.spool`;
    const file = await open(path.join(directory, name), 'wx', 0o600);
    await syncFolder(directory);
    segments = [...segments, name];
    writing = { file, name, bytes: 0 };
    return writing;
  }

  /** True when the segment is behind us. */
  async function drainSegment(name: string, take: (entry: Entry) => Promise<'taken' | 'refused'>): Promise<boolean> {
    const file = path.join(directory, name);
    for (;;) {
      const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
      for (const line of lines.slice(taken)) {
        const entry = readLine<Entry>(line);
        if (entry === undefined || (await take(entry)) === 'refused') await setAside(file, line);
        taken += 1;
      }
      // Nothing is awaited between this look and the end of the segment's life but its removal: adds go to a new one.
      if (writing?.name === name && (adding > 0 || (await stat(file)).size > lengthOf(lines))) continue;
      const last = writing?.name === name ? writing : undefined;
      if (last !== undefined) writing = undefined;
      segments = segments.filter((other) => other !== name);
      taken = 0;
      bytes -= lengthOf(lines);
      await last?.file.close();
      await unlink(file);
      return true;
    }
  }

  async function setAside(file: string, line: string): Promise<void> {
    logger.error({ file }, 'an entry of the spool is damaged or was refused; it is kept in a file ending in .refused');
    const kept = await open(`${file}.refused`, 'a', 0o600);
    await kept.appendFile(`${line}\n`);
    await kept.datasync();
    await kept.close();
  }

  async function findSegments(): Promise<string[]> {
    return (await readdir(directory)).filter((name) => name.endsWith('.spool')).sort();
  }
}

const lengthOf = (lines: readonly string[]) => lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);

function lineOf(entry: unknown): string {
  const json = JSON.stringify(entry);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

function readLine<Entry>(line: string): Entry | undefined {
  const json = line.slice(9);
  return crc32(json).toString(16).padStart(8, '0') === line.slice(0, 8) ? (JSON.parse(json) as Entry) : undefined;
}

/** Bytes that are left. */
async function cutTornTail(file: string, logger: Logger): Promise<number> {
  const content = await readFile(file);
  const whole = content.lastIndexOf(0x0a) + 1;
  if (whole === content.length) return whole;
  logger.warn({ file, bytes: content.length - whole }, 'cut off a torn last entry that was never acknowledged');
  await truncate(file, whole);
  return whole;
}

async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r');
  await folder.sync().finally(() => folder.close());
}
