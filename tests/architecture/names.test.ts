import path from 'node:path';
import ts from 'typescript';
import { FACTS } from '#schemas/events/facts.ts';
import { adapterPrefix, importsOf } from './layers.ts';
import { allFiles, exists, isTest, parse, read, sources } from './source-files.ts';

/** Words that say nothing about what is in a file. */
const FORBIDDEN = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'manager', 'base', 'impl', 'data', 'info', 'handle', 'shared', 'stuff']);
/** Given by others: tools, conventions of the trade. */
const GIVEN = /^(?:[A-Z][A-Za-z0-9_.-]*|\..+|.*\.md)$/;

const files = allFiles();
const code = sources();

test('files and folders are named in kebab-case, migrations by number first', () => {
  const named = files.filter((file) => /^(?:schemas|shared|services|infra|tests|bench)\//.test(file) && !GIVEN.test(path.posix.basename(file)));
  expect(named.filter((file) => !file.split('/').every((part) => /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/.test(part)))).toEqual([]);
  expect(files.filter((file) => file.includes('/migrations/') && !/^\d{4}-[a-z-]+\.sql$/.test(path.posix.basename(file)))).toEqual([]);
});

test(`no file or folder is called ${[...FORBIDDEN].slice(0, 8).join(', ')} or the like`, () => {
  const words = (file: string) => file.split('/').slice(1).flatMap((part) => part.split(/[.-]/));
  expect(files.filter((file) => words(file).some((word) => FORBIDDEN.has(word)))).toEqual([]);
});

test('every fact has a file of its own, named by its type', () => {
  for (const { type } of FACTS) {
    const file = `schemas/events/${type.replace('.', '-')}.ts`;
    expect({ type, file: exists(file) && [...read(file).matchAll(/\btype: '([^']+)'/g)].map(([, named]) => named) }).toEqual({ type, file: [type] });
  }
});

test('an on-….ts exports the handler of that name', () => {
  const handlers = code.filter((file) => /\/on-[^/]+\.ts$/.test(file) && !isTest(file));
  expect(handlers.length).toBeGreaterThan(0);
  expect(handlers.filter((file) => !exportedFunctions(file).includes(camel(stemOf(file))))).toEqual([]);
});

test('tests stand beside what they test, or under tests/', () => {
  const alone = code.filter((file) => file.endsWith('.test.ts') && !/^(?:schemas|shared|services|infra|tests|bench)\//.test(file));
  expect(alone).toEqual([]);
});

// A port is a file that adapters are named after: event-log.ts, because of postgres-event-log.ts and memory-event-log.ts.
const found = adaptersOfPorts();
const ports = [...new Set(found.map(({ port }) => port))].map((port) => ({ port, adapters: found.filter((one) => one.port === port).map(({ file }) => file) }));

test('ports with two adapters are found', () => {
  expect(ports.filter(({ adapters }) => adapters.length > 1).map(({ port }) => port)).toEqual(expect.arrayContaining(['shared/log/event-log.ts', 'shared/blobs/blob-store.ts']));
});

test.each(ports.filter(({ adapters }) => adapters.length > 1))('$port has a suite, and every adapter runs it', ({ port, adapters }) => {
  const suite = SUITE_OF[port] ?? port.replace(/\.ts$/, '.contract.ts');
  expect({ suite, exists: exists(suite) }).toEqual({ suite, exists: true });
  const tests = code.filter((file) => file.endsWith('.test.ts') && targets(file).includes(suite));
  expect(adapters.filter((adapter) => !tests.some((file) => targets(file).includes(adapter)))).toEqual([]);
});

/** A store that only one port's adapter stands on is held by that port's suite. */
const SUITE_OF: Record<string, string> = { 'shared/bus/group-store.ts': 'shared/bus/bus.contract.ts' };

function adaptersOfPorts(): { port: string; file: string }[] {
  return code.flatMap((file) => {
    const prefix = adapterPrefix(file);
    if (prefix === undefined) return [];
    const port = `${path.posix.dirname(file)}/${path.posix.basename(file).slice(prefix.length + 1)}`;
    return exists(port) ? [{ port, file }] : [];
  });
}

function targets(file: string): string[] {
  return importsOf(file).flatMap(({ target }) => (target === undefined ? [] : [target]));
}

function exportedFunctions(file: string): string[] {
  return parse(file).statements.flatMap((statement) => {
    const isExported = ts.canHaveModifiers(statement) && (ts.getModifiers(statement) ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (!isExported) return [];
    if (ts.isFunctionDeclaration(statement)) return [statement.name?.text ?? ''];
    return ts.isVariableStatement(statement) ? statement.declarationList.declarations.map(({ name }) => name.getText()) : [];
  });
}

const stemOf = (file: string) => path.posix.basename(file).split('.')[0] ?? '';
const camel = (name: string) => name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
