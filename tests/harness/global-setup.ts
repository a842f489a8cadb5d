import { startThrowawayServer, type ThrowawayServer } from './throwaway-server.ts';

declare global {
  // Jest runs setup and teardown in one process; this is all that goes from the one to the other.
  var tekaiTestServer: ThrowawayServer | undefined;
}

/** One real Postgres for the whole run. A server that the caller names by TEKAI_TEST_DATABASE_URL is used instead. */
export default async function globalSetup(): Promise<void> {
  if (process.env['TEKAI_TEST_DATABASE_URL']) return;
  globalThis.tekaiTestServer = await startThrowawayServer();
  process.env['TEKAI_TEST_DATABASE_URL'] = globalThis.tekaiTestServer.url;
}
