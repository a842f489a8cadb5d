import pg from 'pg';
import type { Position } from '#schemas/brand.ts';
import type { ServiceProcess } from '../../../infra/stack/service-process.ts';
import { withLog } from '../../harness/own-stores.ts';
import type { System } from '../../harness/system.ts';

export async function withDatabase<T>({ databaseUrl }: System, look: (database: pg.Client) => Promise<T>): Promise<T> {
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    return await look(database);
  } finally {
    await database.end();
  }
}

export interface Looking { readonly database: pg.Client; readonly services: readonly ServiceProcess[] }

export interface Wanted { readonly after: Position; readonly type: string; readonly key: string; readonly ref: string; readonly msMax: number }

/** Whether it comes by then, by the log: the read tables trail, and the moment would be over. */
export function isRecorded(system: System, { after, type, key, ref, msMax }: Wanted): Promise<boolean> {
  return withLog(system, async (log) => {
    for await (const { facts } of log.subscribe({ after, prefixes: [], signal: AbortSignal.timeout(msMax) })) {
      if (facts.some((fact) => fact.type === type && fact.key === key && namesRef(fact.data, ref))) return true;
    }
    return false;
  });
}

/** A step is of one ref, a hint of several. */
function namesRef(data: unknown, ref: string): boolean {
  const named = data as { readonly ref?: string; readonly refs?: readonly { readonly ref: string }[] };
  return named.ref === ref || named.refs?.some((one) => one.ref === ref) === true;
}

/** Undefined while nobody has the lease, or somebody who died. */
export async function holderOf(lease: string, { database, services }: Looking): Promise<ServiceProcess | undefined> {
  const { rows: [row] } = await database.query<{ holder: string }>(
    `select application_name as holder from bus_leases join pg_stat_activity on pid = backend_pid where name = $1 and expires_at > clock_timestamp()`, [lease]);
  return services.find(({ child }) => row?.holder === `tekai-leases of process ${child?.pid}`);
}
