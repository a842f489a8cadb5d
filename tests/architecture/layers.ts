import path from 'node:path';
import ts from 'typescript';
import { isTest, read } from './source-files.ts';

// Where a file stands, by its path alone. The picture is docs/architecture.md's; who may import whom is imports.test.ts's.

/** What an adapter's file name may begin with: what it adapts to. */
export const ADAPTER_PREFIXES = ['postgres', 'embedded', 'eventstoredb', 'kafka', 'redis', 's3', 'gcs', 'disk', 'git', 'gitbeaker', 'openid', 'memory'] as const;

/** Files that begin like an adapter and are none, each with its reason. */
const NO_ADAPTERS = [
  /^shared\/objects\/git-[a-z]+\.ts$/, // git's object format: pure, and the subject of the folder.
  /^shared\/gitlab\/git-transport\.ts$/, // The port; its adapter is git-cli-transport.ts.
];

export type Layer = 'schemas' | 'port' | 'adapter' | 'api-client' | 'composition' | 'program' | 'service' | 'client' | 'simulator' | 'stack' | 'demo' | 'bench' | 'tests' | 'elsewhere';

export function layerOf(file: string): Layer {
  if (isTest(file)) return 'tests';
  if (file.startsWith('schemas/')) return 'schemas';
  if (file.startsWith('shared/api-client/')) return 'api-client';
  if (file.startsWith('shared/')) return isAdapter(file) ? 'adapter' : 'port';
  if (/^services\/composition(?:-[a-z]+)?\.ts$/.test(file)) return 'composition';
  if (/^services\/[^/]+\.ts$/.test(file)) return 'program';
  if (/^services\/(?:cli|console)\//.test(file)) return 'client';
  if (file.startsWith('services/')) return 'service';
  if (/^infra\/(?:gitlab-simulator|eventstore-double|servers)\//.test(file)) return 'simulator';
  if (file.startsWith('infra/stack/')) return 'stack';
  if (file.startsWith('infra/demo/')) return 'demo';
  if (file.startsWith('bench/')) return 'bench';
  return 'elsewhere';
}

export function isAdapter(file: string): boolean {
  return adapterPrefix(file) !== undefined;
}

/** `postgres` of `shared/log/postgres-event-log.ts`; undefined when the file is no adapter. */
export function adapterPrefix(file: string): string | undefined {
  if (!file.startsWith('shared/') || isTest(file) || NO_ADAPTERS.some((pattern) => pattern.test(file))) return undefined;
  return ADAPTER_PREFIXES.find((prefix) => path.posix.basename(file).startsWith(`${prefix}-`));
}

/** The folder whose files belong together and import each other relatively: a port's, a service's, all of schemas. */
export function unitOf(file: string): string {
  const [top = '', second = ''] = file.split('/');
  return top === 'schemas' || !file.includes('/', top.length + 1) ? top : `${top}/${second}`;
}

export interface Import {
  readonly file: string;
  readonly specifier: string;
  /** The file of ours that is meant; undefined for packages and Node's own. */
  readonly target: string | undefined;
}

/** All imports of a file: static, of types, re-exports, and dynamic ones with a literal. */
export function importsOf(file: string): Import[] {
  return ts.preProcessFile(read(file), true, true).importedFiles.map(({ fileName: specifier }) => ({ file, specifier, target: targetOf(file, specifier) }));
}

function targetOf(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1);
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : undefined;
}
