import { rm } from 'node:fs/promises';
import endRun from '../harness/global-teardown.ts';
import './global-setup.ts';

export default async function globalTeardown(): Promise<void> {
  await Promise.all((globalThis.tekaiStack?.servers ?? []).map((server) => server.stop()));
  if (globalThis.tekaiStack !== undefined) await rm(globalThis.tekaiStack.folder, { recursive: true, force: true });
  await endRun();
}
