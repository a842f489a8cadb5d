import ts from 'typescript';
import { FACTS, type FactType } from '#schemas/events/facts.ts';
import { DIAGRAM_FILE, withDiagram } from './flow-diagram.ts';
import { DECLARED_LOOPS, edgesOf, loadFlows, SERVICES, wayBackTo } from './flows.ts';
import { importsOf } from './layers.ts';
import { exists, isTest, nodesOf, parse, read, sources } from './source-files.ts';

/** What may be read of others: through which port of shared/ (or what stands on it), and who writes it (its owner needs not say so). */
const READS: Record<string, { readonly port: string; readonly also?: string; readonly owner?: string }> = {
  'event-log': { port: 'shared/log/event-log.ts' },
  'codebase-stream': { port: 'shared/log/event-log.ts' },
  'sync-stream': { port: 'shared/log/event-log.ts' },
  'read-store': { port: 'shared/read-store/read-store.ts', owner: 'projector' },
  'object-index': { port: 'shared/objects/object-index.ts', also: 'shared/objects/object-reader.ts', owner: 'storage-writer' },
  'source-directory': { port: 'shared/sources/source-directory.ts', owner: 'ingress' },
  'source-checks': { port: 'shared/sources/source-checks.ts', owner: 'ingress' },
  identity: { port: 'shared/identity/known-callers.ts', owner: 'identity' },
  'own-access': { port: 'shared/identity/own-access.ts', owner: 'identity' },
  audit: { port: 'shared/audit/audit-entries.ts', owner: 'identity' },
  'bus-parked': { port: 'shared/bus/bus.ts' },
  deliveries: { port: 'shared/deliveries/delivery-archive.ts', owner: 'ingress' },
};

const flows = await loadFlows();
const edges = edgesOf(flows);
const known: readonly FactType[] = FACTS.map((definition) => definition.type);
const files = sources().filter((file) => file.startsWith('services/') && !isTest(file));
const filesOf = (service: string) => files.filter((file) => file.startsWith(`services/${service}/`));

test('every service declares its flow', () => {
  expect(SERVICES.length).toBeGreaterThan(5);
  expect([...flows.keys()]).toEqual(SERVICES);
  expect(files.filter((file) => file.endsWith('/flow.ts')).map((file) => file.split('/')[1]).sort()).toEqual([...SERVICES].sort());
});

test('every fact that is eaten is emitted by somebody, and every fact there is too', () => {
  const emitted = new Set([...flows.values()].flatMap((flow) => flow.emits));
  expect([...flows].flatMap(([name, { consumes }]) => consumes.filter((type) => !emitted.has(type)).map((type) => `${name} waits for ${type}, which nobody emits`))).toEqual([]);
  expect(known.filter((type) => !emitted.has(type))).toEqual([]);
});

test('facts flow one way: no service reaches itself through the log, except by a declared loop', () => {
  const oneWay = edges.filter((edge) => !edge.isLoop);
  expect(SERVICES.map((name) => wayBackTo(name, oneWay)?.join(' → ')).filter((way) => way !== undefined)).toEqual([]);
});

test.each(DECLARED_LOOPS)('the declared loop through $through into $into is still one', ({ through, into }) => {
  const others = edges.filter((edge) => !edge.isLoop || (edge.type === through && edge.to === into));
  expect(wayBackTo(into, others)).toBeDefined();
});

test.each(SERVICES)('%s makes the facts that its flow.ts says, and no others', (service) => {
  const made = new Set(filesOf(service).flatMap(factsMadeIn));
  expect([...made].sort()).toEqual([...(flows.get(service)?.emits ?? [])].sort());
});

test('nobody outside of a service makes facts', () => {
  const elsewhere = sources().filter((file) => !isTest(file) && /^(?:services\/[^/]+\.ts|services\/cli\/|shared\/|infra\/demo\/)/.test(file));
  expect(elsewhere.filter((file) => factsMadeIn(file).length > 0)).toEqual([]);
});

test.each(SERVICES)('%s reads of others what it declares, through their ports', (service) => {
  const reads: readonly string[] = flows.get(service)?.reads ?? [];
  const imported = new Set(filesOf(service).flatMap(importsOf).map(({ target }) => target));
  expect(reads.filter((name) => !(name in READS))).toEqual([]);
  const isImported = ({ port, also }: { port: string; also?: string }) => imported.has(port) || (also !== undefined && imported.has(also));
  expect(reads.filter((name) => READS[name] !== undefined && !isImported(READS[name]))).toEqual([]);
  const undeclared = Object.entries(READS).filter(([name, read]) => read.owner !== undefined && read.owner !== service && isImported(read) && !reads.includes(name));
  expect(undeclared.map(([name]) => name)).toEqual([]);
});

// The house's rule is that type strings are written once, in schemas/. Its aim is that no misspelt one waits for ever: `case
// 'codebase.fetched'` is checked by the compiler and reads better than a constant, so the rule is held where the compiler is
// blind (a string in a Set, in SQL's parameters, in a comparison with a plain string): whatever looks like a fact must be one.
test('whatever looks like the type of a fact, in services and in shared, is one', () => {
  const looksLikeFact = /^[a-z]+\.(?:[a-z]+-)*(?:[a-z]+ed|bound|sent|given|taken|lost|left|made|found|withdrawn)$/;
  const held = sources().filter((file) => /^(?:services|shared)\//.test(file) && !isTest(file));
  const unknown = held.flatMap((file) => [...nodesOf(parse(file))].filter(ts.isStringLiteralLike)
    .filter(({ text }) => looksLikeFact.test(text) && !known.some((type) => type === text)).map(({ text }) => `${file}: ${text}`));
  expect(unknown).toEqual([]);
});

test(`${DIAGRAM_FILE} shows the flow as it is (else: npm run flow -- --write)`, () => {
  const text = exists(DIAGRAM_FILE) ? read(DIAGRAM_FILE) : `${DIAGRAM_FILE} does not exist yet`;
  expect(text).toBe(withDiagram(text, flows) ?? `${DIAGRAM_FILE} with the lines <!-- flow:begin --> and <!-- flow:end -->, once each and in this order`);
});

/** `type: 'x.y'` in an object literal: what newFact and factAfter are given. Types and patterns are no such thing. */
function factsMadeIn(file: string): FactType[] {
  return [...nodesOf(parse(file))].flatMap((node) => {
    if (!ts.isPropertyAssignment(node) || node.name.getText() !== 'type' || !ts.isStringLiteralLike(node.initializer)) return [];
    const { text } = node.initializer;
    return known.filter((type) => type === text);
  });
}
