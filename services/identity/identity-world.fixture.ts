import type { Pool } from 'pg';
import type { SourceId } from '#schemas/brand.ts';
import { sourceStream } from '#schemas/ids.ts';
import { guard } from '#shared/access/guard.ts';
import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import { createAuditNotes, type Note } from '#shared/audit/audit-notes.ts';
import { createNoteRefusal } from '#shared/audit/note-refusals.ts';
import { noteRequests } from '#shared/audit/note-requests.ts';
import { createPostgresAuditEntries } from '#shared/audit/postgres-audit-entries.ts';
import type { GitLabAccess } from '#shared/gitlab/gitlab.ts';
import { createIdentityAccess } from '#shared/identity/identity-access.ts';
import { createOpenIdSignInProvider } from '#shared/identity/openid-sign-in-provider.ts';
import { createPostgresKnownCallers } from '#shared/identity/postgres-known-callers.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { createTokenAccess, identify, type Access } from '#shared/runtime/access.ts';
import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { createMemoryRequestCounts } from '#shared/runtime/memory-request-counts.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { createMemorySecretVault } from '#shared/secrets/memory-secret-vault.ts';
import { freshDatabase } from '../../tests/harness/postgres.ts';
import { start } from './service.ts';

export const ENGINE_TOKEN = 'tekai_engine';

const accessAt = (baseUrl: string | undefined): GitLabAccess | undefined => (baseUrl === undefined ? undefined : { baseUrl, token: 'a-token-of-the-source', caPem: undefined, proxyUrl: undefined, client: undefined, allowAddresses: [] });

export interface Told { readonly status: number; readonly headers: Headers; readonly body: any }

/** Until told to stop. */
const idle = (_ms: number, signal: AbortSignal) => new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve()); });

/** Identity behind a guarded door, on a Postgres of its own, with a clock of its own. */
export async function createIdentityWorld() {
  const database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'identity', directory: new URL('./migrations', import.meta.url).pathname }] });
  const pool: Pool = createPool(database.url, { connectionsMax: 8, applicationName: 'test' });
  const query = createQuery(pool);
  const log = createMemoryEventLog();
  const vault = createMemorySecretVault();
  const logger = createLogger('silent');
  const world = {
    at: Date.parse('2026-11-29T12:00:00Z'),
    now: () => new Date(world.at),
    announced: [] as string[],
    sources: [] as SourceId[],
    /** Where each of them is, for who signs in by it. */
    places: new Map<SourceId, string>(),
    pool, query, vault, log, url: '', access: undefined as unknown as Access, auditNotes: { written },
    ask, signIn, registerSource, stop, startAgain,
  };
  const callers = createPostgresKnownCallers({ query, now: world.now });
  const issuer = 'http://tekai';
  const access = createIdentityAccess({ engine: createTokenAccess(ENGINE_TOKEN), callers, issuer, now: world.now });
  const door = createHttpDoor({ logger, host: '127.0.0.1', trustedProxies: ['127.0.0.1'] });
  const openNotes = () => createAuditNotes({ entries: createPostgresAuditEntries({ query }), logger, metrics: createMetrics(), now: world.now, sleep: idle });
  const [noting, owners] = [{ now: openNotes() }, new Set<Promise<unknown>>()];
  const notes = { note: (one: Note) => noting.now.note(one) };
  door.use(noteRequests({
    notes,
    noteRefusal: createNoteRefusal({
      notes,
      ownerOf: (token) => {
        const asked = access.ownerOf(token);
        owners.add(asked);
        return asked;
      },
    }),
  }));
  door.use(identify(access));
  door.use(guard({ roleOf: async () => undefined, readable: async () => new Set() }));
  // Of the clock that stands still: nobody is limited by address but who means to be.
  const counts = createMemoryRequestCounts(() => world.at);
  const startAt = (where: Pick<typeof door, 'use'>) => start({ pool, query, vault, log, sources: { access: async (id) => accessAt(world.places.get(id)) }, signInProvider: createOpenIdSignInProvider({ addresses: createAddressGuard({ allowed: ['127.0.0.0/8'] }), now: world.now }), store: { sources: async () => world.sources.map((id) => ({ id, name: 'g', baseUrl: 'https://gitlab.example.com', registeredAt: '', revision: 0 })) }, callers, access, counts, door: where, issuer, logger, now: world.now, announce: (text) => world.announced.push(text), sleep: idle });
  const service = await startAt(door);
  world.url = `http://127.0.0.1:${await door.listen(0)}`;
  world.access = access;
  return world;

  async function ask(method: string, path: string, { token, body, through }: { token?: string | undefined; body?: unknown; /** As a proxy says it. */ through?: string } = {}): Promise<Told> {
    const answer = await fetch(`${world.url}${path}`, {
      method, headers: { connection: 'close', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(through === undefined ? {} : { 'x-forwarded-for': through }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** A person with a password of their own, signed in. */
  async function signIn(name: string, { isSystemAdmin = false } = {}): Promise<{ id: string; accessToken: string; refreshToken: string; password: string }> {
    const made = await ask('POST', '/v1/users', { token: ENGINE_TOKEN, body: { name, isSystemAdmin } });
    const password = `long enough for anybody ${made.body.id}`;
    const answer = await ask('POST', '/v1/auth/login', { body: { name, password: made.body.oneTimePassword, newPassword: password } });
    if (answer.status !== 200) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
    return { id: made.body.id, password, ...answer.body };
  }

  /** What was noted so far stands in the table. */
  async function written(): Promise<void> {
    await Promise.allSettled(owners);
    await new Promise((resolve) => { setImmediate(resolve); });
    await noting.now.stop();
    noting.now = openNotes();
  }

  /** As ingress does. */
  async function registerSource(id: SourceId): Promise<void> {
    await log.append(sourceStream(id), 'noStream', [newFact({
      type: 'source.registered', key: id, actor: { kind: 'token', id: 'engine' }, correlationId: 'c', causationId: null, time: world.now(), data: { sourceId: id, name: 'g', baseUrl: 'https://gitlab.example.com', command: { id: 'c', digest: '0'.repeat(64) } },
    })]);
  }

  /** Another process of the same engine. */
  async function startAgain(): Promise<void> {
    await (await startAt({ use: () => undefined })).stop();
  }

  async function stop(): Promise<void> {
    await service.stop();
    await noting.now.stop();
    await door.close();
    await pool.end();
    await database.drop();
  }
}

export type IdentityWorld = Awaited<ReturnType<typeof createIdentityWorld>>;
