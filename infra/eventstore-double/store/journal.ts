import fs from 'node:fs';
import path from 'node:path';
import type { StoredEvent } from './event.ts';

export interface Journal { add(events: readonly StoredEvent[]): void }

/** Keeps nothing: a server with its database in memory. */
export const NO_JOURNAL: Journal = { add: () => undefined };

/**
 * Events in a file of JSON lines, handed to the operating system before anybody is answered: what a kill -9 of this process
 * leaves behind. (Not what a power cut leaves: nothing is fsynced.)
 */
export function openJournal(directory: string): { journal: Journal; events: StoredEvent[] } {
  fs.mkdirSync(directory, { recursive: true });
  const file = path.join(directory, 'events.jsonl');
  const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  // An append is one line, so that a torn one is gone as a whole.
  if (whole.length < text.length) fs.truncateSync(file, Buffer.byteLength(whole));
  const descriptor = fs.openSync(file, 'a');
  return {
    journal: { add: (events) => void fs.writeSync(descriptor, `${JSON.stringify(events.map(written))}\n`) },
    events: whole.split('\n').filter((line) => line !== '').flatMap((line) => (JSON.parse(line) as Written[]).map(readBack)),
  };
}

type Written = Omit<StoredEvent, 'data' | 'metadata'> & { readonly data: string; readonly metadata: string };

const written = (event: StoredEvent): Written => ({ ...event, data: event.data.toString('base64'), metadata: event.metadata.toString('base64') });
const readBack = (event: Written): StoredEvent => ({ ...event, data: Buffer.from(event.data, 'base64'), metadata: Buffer.from(event.metadata, 'base64') });
