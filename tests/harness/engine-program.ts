// A stand-in for the engine, for tests that kill it: runs an embedded Postgres on the state folder it is given until SIGTERM.
// Prints {url, pid} when it runs, {kind, message} when it cannot.
import { EmbeddedPostgresError } from '#shared/postgres/embedded-error.ts';
import { type ServerLogger, startEmbeddedPostgres } from '#shared/postgres/embedded-server.ts';

const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
let found: object = {};
const logger: ServerLogger = { info: (fields) => { found = fields; }, warn: () => {}, error: () => {} };

try {
  const server = await startEmbeddedPostgres({ stateDir: process.argv[2] ?? '', logger });
  process.once('SIGTERM', () => { void server.stop(); });
  print({ url: server.url, ...found });
} catch (error) {
  if (!(error instanceof EmbeddedPostgresError)) throw error;
  print({ kind: error.kind, message: error.message });
}
