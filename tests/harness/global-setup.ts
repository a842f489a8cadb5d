import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startThrowawayServer, type ThrowawayServer } from './throwaway-server.ts';

declare global {
  // Jest runs setup and teardown in one process; these are all that goes from the one to the other.
  var tekaiTestServer: ThrowawayServer | undefined;
  var tekaiTestRepositories: string | undefined;
}

/** One real Postgres for the whole run. A server that the caller names by TEKAI_TEST_DATABASE_URL is used instead. */
export default async function globalSetup(): Promise<void> {
  // The repositories of a run are made in one folder, which goes with it (repository.ts).
  globalThis.tekaiTestRepositories = await mkdtemp(join(tmpdir(), 'tekai-repos-'));
  process.env['TEKAI_TEST_REPOSITORIES'] = globalThis.tekaiTestRepositories;
  if (process.env['TEKAI_TEST_DATABASE_URL']) return;
  globalThis.tekaiTestServer = await startThrowawayServer();
  process.env['TEKAI_TEST_DATABASE_URL'] = globalThis.tekaiTestServer.url;
}
