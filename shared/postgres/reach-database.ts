import pg from 'pg';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { createQuery } from './query.ts';
import { isUnavailable } from './unavailable.ts';

/** The oldest that the statements of this engine were written for. */
const VERSION_MIN = 15;
const CONNECT_MS_MAX = 5_000;
const NO_SUCH_TABLE = '42P01';

export interface ReachDatabaseOptions {
  /** The setting that names the URL, for whoever has to correct it. */
  readonly setting: string;
  /** Whether it is to be written to. A replica is not. */
  readonly isWritten: boolean;
  /** What it is to us, in the operator's words. */
  readonly dependency?: string;
}

/**
 * Resolves when a Postgres that we can work with answers at this URL and lets us in.
 * @throws Unavailable, with what to do, while waiting may help: it is away, it refuses the login, its certificate is not trusted
 * @throws StartRefused when it is too old
 */
export async function reachDatabase(url: string, { setting, isWritten, dependency = 'database' }: ReachDatabaseOptions): Promise<void> {
  const client = clientOf(url, setting);
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows: [row] } = await client.query<{ version: number; isReplica: boolean }>(`select current_setting('server_version_num')::int / 10000 as version, pg_is_in_recovery() as "isReplica"`);
    if (row === undefined) throw new Error('Postgres gave no answer to what version it is');
    if (row.version < VERSION_MIN) throw new StartRefused(`The Postgres at ${placeOf(url)} is version ${row.version}; ${VERSION_MIN} is the oldest that will do. Upgrade it, or name another in ${setting}.`);
    if (row.isReplica && isWritten) throw new Unavailable('database', `the Postgres at ${placeOf(url)} is a replica, which only reads: promote it, or name the primary in ${setting}`);
  } catch (error) {
    if (error instanceof StartRefused || error instanceof Unavailable) throw error;
    throw explained(error, { place: placeOf(url), setting, dependency });
  } finally {
    await client.end().catch(() => {});
  }
}

function clientOf(url: string, setting: string): pg.Client {
  try {
    return new pg.Client({ connectionString: url, application_name: 'tekai-start', connectionTimeoutMillis: CONNECT_MS_MAX });
  } catch (error) {
    // The files of certificates are read here.
    throw new StartRefused(`${setting} cannot be used: ${(error as Error).message}.`, { cause: error });
  }
}

/** Without user and password. */
function placeOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host || 'its socket' : 'the address given';
}

/** What Node and OpenSSL call a certificate that they do not trust. */
const CERTIFICATE = /CERT|SIGNATURE|^ERR_TLS/;

function explained(error: unknown, { place, setting, dependency }: { place: string; setting: string; dependency: string }): unknown {
  const { code = '', message = '', errors } = error as Partial<NodeJS.ErrnoException & AggregateError>;
  const said = message || (errors ?? []).map((one: unknown) => (one as Error).message).join('; ') || code;
  const away = (todo: string) => new Unavailable(dependency, `${said}: ${todo}`, { cause: error });
  if (code === '28P01' || code === '28000') return away(`the Postgres at ${place} lets nobody in like this; correct the user, the password or the options in ${setting}, or the roles and pg_hba.conf there`);
  if (code === '3D000') return away(`create that database at ${place}, or name another in ${setting}`);
  if (code === '42501') return away(`give the user of ${setting} this right at ${place}`);
  if (CERTIFICATE.test(code) || /SSL|TLS/.test(said)) return away(`no connection by TLS to ${place}; correct sslmode, sslrootcert or the host's name in ${setting}, or the server's certificate`);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return away(`there is no such host now; correct the name in ${setting}, or its DNS`);
  if (isUnavailable(error)) return away(`start Postgres at ${place}, open the way to it, or name another in ${setting}`);
  return error;
}

/** When each migration was applied, to the microsecond: no other database has these. */
const MARK = `select coalesce(md5(string_agg(owner || name || extract(epoch from applied_at), ' ' order by owner, name)), 'none') as mark from migration_checksums`;

/** That the second shows what the first holds, some moments late: it is a copy of that very database, and has all tables of this release. @throws Unavailable */
export async function mustBeReplica(primary: Pick<pg.Pool, 'query'>, replica: Pick<pg.Pool, 'query'>): Promise<void> {
  const marks = await Promise.all([createQuery(primary), createQuery(replica, 'read database')].map(async (query) => (await query<{ mark: string }>(MARK).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === NO_SUCH_TABLE) return [];
    throw error;
  }))[0]?.mark));
  if (marks[0] !== marks[1]) throw new Unavailable('read database', 'TEKAI_READ_DATABASE_URL leads to no replica of the database, or to one that has not caught up yet: let it replicate, or name the right one');
}
