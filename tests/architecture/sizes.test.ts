import path from 'node:path';
import ts from 'typescript';
import { allFiles, childrenOf, isTest, nodesOf, parse, read, sources } from './source-files.ts';

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const HOLDER_LINES_MAX = 110;
/** To be divided; may only shrink. */
const TOO_LONG_STILL: Record<string, number> = { runShare: 125 };
/** `services/projector/views/`. */
const FOLDERS_MAX = 3;

const functions = sources().flatMap(functionsOf);

test(`no file has more than ${FILE_LINES_MAX} lines`, () => {
  const written = allFiles().filter((file) => /\.(?:ts|js|mjs|sql|py|sh)$/.test(file));
  expect(written.map((file) => ({ file, lines: linesOf(file) })).filter(({ lines }) => lines > FILE_LINES_MAX)).toEqual([]);
});

// Rule 2 makes a service of a function that holds others, as a class holds methods: it is measured without them, and they by
// themselves. Such a holder has a bound of its own, so that it does not grow into the god object that the rule is against.
test(`no function has more than ${FUNCTION_LINES_MAX} lines of its own`, () => {
  expect(functions.filter(({ own }) => own > FUNCTION_LINES_MAX)).toEqual([]);
});

test(`no function is longer than ${HOLDER_LINES_MAX} lines with those that it holds`, () => {
  expect(functions.filter(({ name, whole }) => whole > (TOO_LONG_STILL[name] ?? HOLDER_LINES_MAX))).toEqual([]);
});

test('what was too long and no longer is, is no longer excused', () => {
  expect(Object.keys(TOO_LONG_STILL).filter((name) => !functions.some((one) => one.name === name && one.whole > HOLDER_LINES_MAX))).toEqual([]);
});

test(`no file lies below more than ${FOLDERS_MAX} folders`, () => {
  const held = allFiles().filter((file) => /^(?:schemas|shared|services|infra|bench)\//.test(file));
  expect(held.filter((file) => path.posix.dirname(file).split('/').length > FOLDERS_MAX)).toEqual([]);
});

function linesOf(file: string): number {
  const text = read(file);
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

interface Measured {
  readonly file: string;
  readonly name: string;
  /** From its first line to its last. */
  readonly whole: number;
  /** Without the named functions that it holds, each of which is measured too. */
  readonly own: number;
}

/** A suite is no function to read at once: what wraps `describe` and `test` is measured by its tests. */
function functionsOf(file: string): Measured[] {
  const source = parse(file);
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  const lines = (node: ts.Node) => lineOf(node.getEnd()) - lineOf(node.getStart()) + 1;
  const held = (node: ts.Node): number => childrenOf(node).reduce((sum, child) => sum + (ts.isFunctionLike(child) && nameOf(child) !== undefined ? lines(child) : held(child)), 0);
  return [...nodesOf(source)].filter((node) => ts.isFunctionLike(node)).filter((node) => !(isTest(file) && isSuite(node))).map((node) => ({
    file: `${file}:${lineOf(node.getStart()) + 1}`, name: nameOf(node) ?? 'a function without a name', whole: lines(node), own: lines(node) - held(node),
  }));
}

function isSuite(node: ts.Node): boolean {
  return [...nodesOf(node)].some((inner) => ts.isCallExpression(inner) && /^(?:describe|test|it)(?:\.|$)/.test(inner.expression.getText().split('(')[0] ?? ''));
}

function nameOf(node: ts.SignatureDeclaration): string | undefined {
  return node.name?.getText() ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name.getText() : undefined);
}
