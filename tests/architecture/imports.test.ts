import { allFiles, isTest, read, sources } from './source-files.ts';
import { ADAPTER_PREFIXES, adapterPrefix, importsOf, layerOf, unitOf, type Import, type Layer } from './layers.ts';

/** Who may import whom. Own folder means: the same service, or the same adapter of the same port. */
const MAY_IMPORT: Record<Layer, readonly (Layer | 'own folder')[]> = {
  schemas: ['schemas'],
  port: ['schemas', 'port'],
  adapter: ['schemas', 'port', 'own folder'],
  'api-client': ['schemas', 'api-client'],
  service: ['schemas', 'port', 'own folder'],
  client: ['schemas', 'api-client', 'own folder'],
  composition: ['schemas', 'port', 'adapter', 'service', 'composition'],
  program: ['schemas', 'port', 'composition', 'program', 'client', 'demo'],
  // So that a wrong shape cannot pass on both sides.
  simulator: ['own folder'],
  // It runs what is built, as an operator would, and knows nothing of what is in it.
  stack: ['simulator', 'own folder'],
  demo: ['schemas', 'api-client', 'own folder'],
  bench: ['schemas', 'port', 'adapter', 'api-client', 'composition', 'program', 'service', 'simulator', 'stack', 'bench'],
  tests: ['schemas', 'port', 'adapter', 'api-client', 'composition', 'program', 'service', 'client', 'simulator', 'stack', 'demo', 'bench', 'tests', 'elsewhere'],
  elsewhere: ['own folder'],
};

/** Packages that reach something outside of us belong to who adapts to it; a service may name the types. */
const PACKAGES: Record<string, readonly Layer[]> = {
  pg: ['adapter', 'port'], knex: ['port'], 'pg-copy-streams': ['adapter', 'port'], undici: ['adapter', 'port', 'api-client'],
  '@gitbeaker/rest': ['adapter'], '@gitbeaker/requester-utils': ['adapter'], pino: ['port'], 'prom-client': ['port'],
  express: ['port', 'program', 'service'], ws: ['service', 'client', 'api-client', 'demo'],
  compression: ['port', 'service'], helmet: ['port'], 'express-rate-limit': ['port', 'service'], standardwebhooks: ['service'],
  commander: ['client'], 'cli-progress': ['client', 'demo'], 'linguist-languages': ['service'],
  '@eventstore/db-client': ['adapter', 'simulator'], '@grpc/grpc-js': ['simulator'], 'google-protobuf': ['simulator'],
  'ipaddr.js': ['port'], kafkajs: ['adapter'], ioredis: ['adapter', 'port'], minio: ['adapter', 'stack'], '@google-cloud/storage': ['adapter'],
  '@opentelemetry/api': ['port'], '@opentelemetry/sdk-node': ['port'],
  jose: ['port', 'adapter', 'service'], 'openid-client': ['adapter'], '@node-rs/argon2': ['service'],
  zod: ['schemas', 'port', 'adapter', 'api-client', 'service', 'client', 'demo'], uuid: ['schemas'],
};

const files = sources();
const imports = files.flatMap(importsOf);
const said = ({ file, specifier }: Import) => `${file} imports ${specifier}`;

test('every file imports only what its layer may', () => {
  expect(imports.filter((one) => !isAllowed(one)).map((one) => `${said(one)} (${layerOf(one.file)} → ${layerOf(one.target ?? '')})`)).toEqual([]);
});

test('every file has a layer', () => {
  expect(files.filter((file) => layerOf(file) === 'elsewhere')).toEqual([]);
});

test('no service imports another', () => {
  const services = imports.filter(({ file, target }) => /^services\/[^/]+\//.test(file) && !isTest(file) && target !== undefined && /^services\//.test(target));
  expect(services.filter(({ file, target }) => unitOf(file) !== unitOf(target ?? '')).map(said)).toEqual([]);
});

test('only composition.ts, tests and benches import an adapter, and an adapter only files of its own', () => {
  const offences = imports.filter(({ file, target }) => {
    const prefix = adapterPrefix(target ?? '');
    if (prefix === undefined || ['tests', 'composition', 'bench'].includes(layerOf(file))) return false;
    return adapterPrefix(file) !== prefix || unitOf(file) !== unitOf(target ?? '');
  });
  expect(offences.map(said)).toEqual([]);
});

test.each(['infra/gitlab-simulator/', 'infra/eventstore-double/', 'infra/servers/'])('%s imports nothing of ours, also in its tests', (folder) => {
  expect(imports.filter(({ file, target }) => file.startsWith(folder) && target !== undefined && !target.startsWith(folder)).map(said)).toEqual([]);
});

test('nobody but tests imports from tests', () => {
  expect(imports.filter(({ file, target }) => target !== undefined && isTest(target) && !isTest(file)).map(said)).toEqual([]);
});

test('no import climbs more than one level', () => {
  expect(imports.filter(({ file, specifier }) => specifier.startsWith('../../') && !isTest(file)).map(said)).toEqual([]);
});

test('between folders of shared, and from services, the way is #shared and #schemas; within a folder it is relative', () => {
  const offences = imports.filter(({ file, specifier, target }) => {
    if (target === undefined || isTest(file)) return false;
    const isOwn = unitOf(file) === unitOf(target);
    return specifier.startsWith('#') ? isOwn : !isOwn && /^(?:shared|schemas)\//.test(target);
  });
  expect(offences.map(said)).toEqual([]);
});

test('there are no barrels: no index file, no module of ours exported onwards', () => {
  expect(files.filter((file) => /(?:^|\/)index\.ts$/.test(file))).toEqual([]);
  const onwards = files.filter((file) => !isTest(file) && /^export\s+(?:type\s+)?(?:\*|\{[^}]*\})[^;'"]*from\s+['"][.#]/m.test(read(file)));
  expect(onwards).toEqual([]);
});

test('a package is imported only where it belongs', () => {
  const offences = imports.filter(({ file, specifier, target }) => {
    if (target !== undefined || isTest(file) || specifier.startsWith('node:') || layerOf(file) === 'bench') return false;
    const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
    return !(PACKAGES[name]?.includes(layerOf(file)) ?? false) && !isOnlyTypes(file, specifier);
  });
  expect(offences.map(said)).toEqual([]);
});

// Of connections that break while nobody waits on them a bare pool makes an error that ends the process: also a test's, when its database is dropped.
test('only shared/postgres/pool.ts makes a pool of Postgres connections', () => {
  const bare = /\bnew pg\.Pool\(|^import \{[^}]*\bPool\b[^}]*\} from 'pg'/m;
  expect(files.filter((file) => bare.test(read(file)))).toEqual(['shared/postgres/pool.ts']);
});

test('no process is spawned outside of adapters, main.ts, what starts the workers, the simulator, the stack and the demo', () => {
  const allowed = new Set<Layer>(['adapter', 'simulator', 'stack', 'demo', 'bench', 'tests']);
  expect(imports.filter(({ file, specifier }) => /^(?:node:)?child_process$/.test(specifier) && !['services/main.ts', 'services/worker-process.ts'].includes(file) && !allowed.has(layerOf(file))).map(said)).toEqual([]);
});

test('no file imports itself by way of others, types aside', () => {
  const next = new Map(files.filter((file) => !isTest(file)).map((file) => [file, valueTargets(file)]));
  expect([...next.keys()].filter((file) => reaches(next, file))).toEqual([]);
});

// The linter gives adapters the clock and the network by the same names.
test('eslint.config.js knows the same adapters', () => {
  const [, list = ''] = /ADAPTER_PREFIXES = \[(.*)\]/.exec(read('eslint.config.js')) ?? [];
  expect([...list.matchAll(/'([a-z0-9]+)'/g)].map(([, prefix]) => prefix)).toEqual([...ADAPTER_PREFIXES]);
});

test('what is held here is there: the folders have files', () => {
  for (const folder of ['schemas/', 'shared/', 'services/', 'infra/gitlab-simulator/', 'infra/eventstore-double/']) expect(allFiles().filter((file) => file.startsWith(folder)).length).toBeGreaterThan(5);
  expect(imports.length).toBeGreaterThan(500);
});

function isAllowed({ file, target }: Import): boolean {
  if (target === undefined || isTest(file)) return true;
  const allowed = MAY_IMPORT[layerOf(file)];
  return allowed.includes(layerOf(target)) || (allowed.includes('own folder') && unitOf(file) === unitOf(target));
}

function isOnlyTypes(file: string, specifier: string): boolean {
  const lines = [...read(file).matchAll(/^import\s+(type\s)?[^;]*?from\s+'([^']+)'/gm)].filter(([, , name]) => name === specifier);
  return lines.length > 0 && lines.every(([, type]) => type !== undefined);
}

function valueTargets(file: string): string[] {
  return importsOf(file).flatMap(({ specifier, target }) => (target === undefined || isOnlyTypes(file, specifier) ? [] : [target]));
}

function reaches(next: ReadonlyMap<string, readonly string[]>, file: string): boolean {
  const seen = new Set<string>();
  const queue = [...(next.get(file) ?? [])];
  for (let here = queue.pop(); here !== undefined; here = queue.pop()) {
    if (here === file) return true;
    if (seen.has(here)) continue;
    seen.add(here);
    queue.push(...(next.get(here) ?? []));
  }
  return false;
}
