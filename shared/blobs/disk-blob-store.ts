import { createHash } from 'node:crypto';
import { access, open, readdir, rename, rm, stat, unlink, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, addAbortSignal } from 'node:stream';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { checkBlobName, checkBlobPrefix, checkByteRange } from './blob-name.ts';
import type { BlobName, BlobStore, ByteRange } from './blob-store.ts';
import { exactly } from './exact-length.ts';
import { asFileTrouble, isMissingFile } from './file-trouble.ts';
import { partName, sweepParts } from './disk-parts.ts';

/** One read of a file: 256 KiB; larger pieces are no faster from a local disk. */
const PIECE_BYTES = 262_144;

/** Says that a folder is a blob store. An unmounted volume leaves an empty folder: without the mark every blob would only look absent. */
const MARK = 'tekai-blobs';
const FAN_OUT_FOLDER = /^[0-9a-f]{2}$/;

/**
 * Blobs as files: `<directory>/<2 hex digits>/packs+<sha256>`, 256 folders, the name's "/" written as "+".
 * What is being written lies in `<directory>/parts/`, in the same file system, until it is whole and on the disk.
 * Parts of processes that died are removed here. @throws Unavailable
 */
export async function createDiskBlobStore({ directory }: { directory: string }): Promise<BlobStore> {
  const parts = join(directory, 'parts');
  await trouble(directory, async () => {
    await makeFolder(parts);
    await writeFile(join(directory, MARK), 'Blobs of the context engine, format 1.\n');
    await syncFolder(directory);
    await sweepParts(parts);
  });

  return {
    put: (name, content, options) => put({ directory, parts, name }, content, options),
    get: (name, options = {}) => get({ directory, name }, options),
    size: (name) => size(directory, name),
    delete: (name) => remove(directory, name),
    list: (prefix) => list(directory, prefix),
  };
}

type Target = { readonly directory: string; readonly name: BlobName };

async function put({ directory, parts, name }: Target & { parts: string }, content: Buffer | Readable, { bytes, signal }: { readonly bytes: number; readonly signal?: AbortSignal }): Promise<void> {
  const pieces = exactly(content, { bytes, signal });
  const part = join(parts, partName());
  try {
    checkBlobName(name);
    await trouble(directory, () => access(join(directory, MARK)));
    await writePart(part, pieces);
    const path = pathOf({ directory, name });
    await trouble(path, async () => {
      const created = await makeFolder(dirname(path));
      if (created !== undefined) await syncFolder(directory);
      await rename(part, path);
      await syncFolder(dirname(path));
    });
  } catch (error) {
    if (content instanceof Readable) content.destroy();
    await rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** The content in a file of its own, on the disk when this resolves. Errors of the source go on as they are. */
async function writePart(part: string, pieces: AsyncGenerator<Buffer, void, void>): Promise<void> {
  const file = await trouble(part, () => open(part, 'wx', 0o640));
  try {
    for await (const piece of pieces) await trouble(part, () => writeAll(file, piece));
    await trouble(part, () => file.sync());
  } finally {
    await trouble(part, () => file.close());
  }
}

/** A write may take less than it was given, a full disk's last one for example; the next then says why. */
async function writeAll(file: FileHandle, piece: Buffer): Promise<void> {
  for (let at = 0; at < piece.length;) at += (await file.write(piece, at, piece.length - at)).bytesWritten;
}

async function get(target: Target, { range, signal }: { readonly range?: ByteRange; readonly signal?: AbortSignal }): Promise<Readable | undefined> {
  checkBlobName(target.name);
  if (range) checkByteRange(range);
  signal?.throwIfAborted();
  const path = pathOf(target);
  const file = await ifPresent(target.directory, () => open(path, 'r'));
  if (!file) return undefined;
  try {
    const { size: fileBytes } = await trouble(path, () => file.stat());
    const { offset, length } = range ?? { offset: 0, length: fileBytes };
    if (offset + length > fileBytes) throw tooShort(path, `has ${fileBytes} bytes, asked for ${length} from ${offset}`);
    const readable = readableOf(file, { path, offset, end: offset + length });
    return signal ? addAbortSignal(signal, readable) : readable;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Not `fs.createReadStream`: it takes a file that ends early for a file that ends. */
function readableOf(file: FileHandle, { path, offset, end }: { path: string; offset: number; end: number }): Readable {
  let at = offset;
  return new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      if (at === end) return void this.push(null);
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - at));
      file.read(piece, 0, piece.length, at).then(({ bytesRead }) => {
        if (bytesRead === 0) return void this.destroy(tooShort(path, `ended at byte ${at}, asked for ${end}`));
        at += bytesRead;
        this.push(piece.subarray(0, bytesRead));
      }, (error: unknown) => this.destroy(asFileTrouble('blob store', path, error) as Error));
    },
    destroy(error, done) {
      file.close().then(() => done(error), (closing: Error) => done(error ?? closing));
    },
  });
}

async function size(directory: string, name: BlobName): Promise<number | undefined> {
  checkBlobName(name);
  return (await ifPresent(directory, () => stat(pathOf({ directory, name }))))?.size;
}

async function remove(directory: string, name: BlobName): Promise<boolean> {
  checkBlobName(name);
  const path = pathOf({ directory, name });
  const removed = await ifPresent(directory, async () => { await unlink(path); return true; });
  if (!removed) return false;
  await trouble(path, () => syncFolder(dirname(path)));
  return true;
}

async function* list(directory: string, prefix: string): AsyncGenerator<{ name: BlobName; bytes: number; writtenAt: Date }, void, void> {
  checkBlobPrefix(prefix);
  const begins = fileNameOf(prefix);
  await trouble(directory, () => access(join(directory, MARK)));
  const folders = await trouble(directory, () => readdir(directory));
  for (const folder of folders.filter((entry) => FAN_OUT_FOLDER.test(entry))) {
    const files = await trouble(directory, () => readdir(join(directory, folder)));
    for (const file of files.filter((entry) => entry.startsWith(begins))) {
      // Undefined when it was deleted since the folder was read.
      const status = await ifPresent(directory, () => stat(join(directory, folder, file)));
      if (status) yield { name: file.replaceAll('+', '/'), bytes: status.size, writtenAt: status.mtime };
    }
  }
}

function pathOf({ directory, name }: Target): string {
  return join(directory, createHash('sha256').update(name).digest('hex').slice(0, 2), fileNameOf(name));
}

function fileNameOf(name: string): string {
  return name.replaceAll('/', '+');
}

/** A rename is on the disk only when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Undefined when there is no such file, and this is the store it should be in. */
async function ifPresent<T>(directory: string, act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (!isMissingFile(error)) throw asFileTrouble('blob store', directory, error);
    await trouble(directory, () => access(join(directory, MARK)));
    return undefined;
  }
}

async function trouble<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (isMissingFile(error)) {
      throw new Unavailable('blob store', `${path} is gone, or its folder no longer holds the file "${MARK}": check that the volume is mounted; a new, empty store begins at the next start`, { cause: error });
    }
    throw asFileTrouble('blob store', path, error);
  }
}

function tooShort(path: string, detail: string): Unavailable {
  return new Unavailable('blob store', `${path} ${detail}: it was cut short; restore it from a copy, or sync its codebase again to write it anew`);
}
