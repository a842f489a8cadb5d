import { buffer } from 'node:stream/consumers';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { parseSettings } from '#shared/runtime/settings.ts';
import { openBlobs, openLog } from '../../services/composition-stores.ts';
import type { System } from './system.ts';

/** The log of a system, wherever that is. */
export async function withLog<T>({ stores, databaseUrl }: System, use: (log: EventLog) => Promise<T>): Promise<T> {
  const pool = createPool(databaseUrl, { connectionsMax: 2, applicationName: 'test' });
  try {
    return await use(await openLog(parseSettings(stores), pool));
  } finally {
    await pool.end();
  }
}

export const blobsOf = ({ stores }: System): Promise<BlobStore> => openBlobs(parseSettings(stores));

/** What nobody does but disks that rot: other bytes under the name of these. */
export async function changePack(system: System, pack: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const [blobs, name] = [await blobsOf(system), `packs/${pack}`];
  const stored = await blobs.get(name);
  if (stored === undefined) throw new Error(`no pack ${pack}`);
  const changed = change(await buffer(stored));
  await blobs.put(name, changed, { bytes: changed.length });
}

export function flipByte(system: System, pack: string, at: number): Promise<void> {
  return changePack(system, pack, (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    return bytes;
  });
}
