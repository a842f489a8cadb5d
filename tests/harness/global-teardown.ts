import './global-setup.ts';

/** Stops the run's Postgres, if it was this run that started it. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.tekaiTestServer?.stop();
}
