import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { CodebaseId, ObjectId, Position, RefName, SyncId } from '#schemas/brand.ts';
import type { AuditEntries } from '#shared/audit/audit-entries.ts';
import type { ParkedKey } from '#shared/bus/bus.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { createMemoryDeliveryArchive, type DeliveryGiven } from '#shared/deliveries/memory-delivery-archive.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryObjectIndex } from '#shared/objects/memory-object-index.ts';
import { createObjectReader } from '#shared/objects/object-reader.ts';
import { createMemoryReadStore, type ReadModel } from '#shared/read-store/memory-read-store.ts';
import type { CodebaseView, SyncView } from '#shared/read-store/read-store.ts';
import { createTokenAccess, identify, type Access, type Principal } from '#shared/runtime/access.ts';
import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { limitRequests } from '#shared/runtime/limit-requests.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createPositionSignal, type PositionSignal } from '#shared/runtime/position-signal.ts';
import { start } from './service.ts';

export const APP = '00000000-0000-4000-8000-000000000001' as CodebaseId;
export const MAIN = 'refs/heads/main' as RefName;
export const at = (n: number) => String(n).padStart(20, '0') as Position;
export const time = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();
export const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
export const commitOf = (n: number) => n.toString(16).padStart(40, '0') as ObjectId;

/** Who shows `Bearer the-reader`: somebody who may read what the model says, and no more. */
export const READER = uuid(90_000);

export const codebaseView = (id = APP): CodebaseView => ({
  id, sourceId: id as never, gitlabProjectId: 15, path: 'a/b', followed: { branches: ['*'], tags: [] }, defaultRef: MAIN, hook: { state: 'installed', reason: null, isSigned: true },
  registeredAt: time(0), lastHintAt: null, lastWholeHintAt: null, lastObservedAt: null, state: 'active', removedAt: null, revision: 0,
});

export const syncView = (n: number, more: Partial<SyncView> = {}): SyncView => ({
  id: uuid(n) as SyncId, codebaseId: APP, ref: MAIN, cause: null, correlationId: 'c', state: 'stored', reason: null, detail: null, coveredBy: null, commit: null, tree: null, hintReached: null, attempt: 1,
  begunAt: time(n), fetchedAt: null, scannedAt: null, endedAt: time(n), counts: null, bytes: null, objectsAdded: null, ...more,
});

export const versionView = (n: number, ref: string = MAIN, commit: number | null = n): ReadModel['versions'][number] => ({
  codebaseId: APP, ref: ref as RefName, state: commit === null ? 'deleted' : 'stored', commit: commit === null ? null : commitOf(commit), commitTime: null, tree: commit === null ? null : commitOf(1),
  objectFormat: 'sha1', sync: uuid(n) as SyncId, storedAt: time(n), observedAt: time(n), position: at(n),
});

export interface Answer { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer; json(): any }

/** query-api behind a real door, on memory adapters; `model` is what the tables hold, and may be changed. */
export async function openWorld(options: { perMinute?: number; deliveries?: readonly DeliveryGiven[]; audit?: Pick<AuditEntries, 'list'> } = {}) {
  const log = createMemoryEventLog();
  const world = {
    model: { position: at(0), sources: [], codebases: [codebaseView()], versions: [], syncs: [], facts: [], progress: new Map(), unfolded: [] } as { -readonly [K in keyof ReadModel]: ReadModel[K] },
    parked: [] as ParkedKey[],
    log, epoch: await log.epoch(),
    looks: 0,
    /** Requests that wait now. */
    waiting: 0,
    projected: createPositionSignal() as PositionSignal,
    url: '', ask, stop, service: undefined as unknown as Awaited<ReturnType<typeof start>>,
  };
  type Store = ReturnType<typeof createMemoryReadStore>;
  const store = Object.fromEntries(Object.keys(createMemoryReadStore(world.model)).map((name) => [name, (...given: never[]) => {
    world.looks += 1;
    return (createMemoryReadStore(world.model)[name as keyof Store] as (...all: never[]) => unknown)(...given);
  }])) as unknown as Store;
  const index = createMemoryObjectIndex();
  const engine = createTokenAccess('the-token');
  const reader: Principal = { actor: { kind: 'user', id: READER }, isSystemAdmin: false, scope: 'admin', credential: { kind: 'session', id: READER, expiresAt: undefined } };
  const access: Access = { ...engine, principalOf: async (token) => (token === 'the-reader' ? reader : engine.principalOf(token)) };
  const door = createHttpDoor({ logger: createLogger('silent'), host: '127.0.0.1' });
  door.use(identify(access));
  door.use(limitRequests({ perMinute: options.perMinute ?? 1_000_000 }));
  world.service = await start({
    store, log, index, reader: createObjectReader({ index, blobs: createMemoryBlobStore() }), checks: { kept: async () => new Map() }, people: { names: async () => new Map() }, audit: options.audit ?? { list: async () => [] }, door, access, projected: world.projected, deliveries: createMemoryDeliveryArchive(options.deliveries ?? []),
    async sleep(ms, signal) {
      world.waiting += 1;
      await sleepFor(ms, undefined, { signal }).catch(() => undefined);
      world.waiting -= 1;
    },
    bus: { parked: async ({ key } = {}) => world.parked.filter((one) => key === undefined || one.key === key) },
  });
  world.url = `http://127.0.0.1:${await door.listen(0)}`;
  return world;

  async function stop(): Promise<void> {
    await world.service.stop();
    await door.close();
  }

  /** The path as it is written: `fetch` would tidy it. */
  function ask(path: string, { method = 'GET', headers = {}, signal }: { method?: string; headers?: Record<string, string>; signal?: AbortSignal } = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest(`${world.url}`, { method, path, headers: { authorization: 'Bearer the-token', connection: 'close', ...headers }, ...(signal === undefined ? {} : { signal }) }, (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () => {
          const body = Buffer.concat(pieces);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, json: () => JSON.parse(body.toString('utf8')) });
        });
      });
      sent.on('error', reject);
      sent.end();
    });
  }
}

export type World = Awaited<ReturnType<typeof openWorld>>;
