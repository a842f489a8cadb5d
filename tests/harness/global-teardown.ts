import { rm } from 'node:fs/promises';
import './global-setup.ts';

/** Stops the run's Postgres, if it was this run that started it, and removes its repositories. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.tekaiTestServer?.stop();
  if (globalThis.tekaiTestRepositories !== undefined) await rm(globalThis.tekaiTestRepositories, { recursive: true, force: true });
}
