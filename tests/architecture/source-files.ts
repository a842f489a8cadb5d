import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

export const root = path.resolve(import.meta.dirname, '../..');

/** What is not ours, or is made from what is: folders that .gitignore names are here too. */
const NOT_OURS = new Set(['node_modules', 'dist', '.git', '.tekai', '.tekai-stack', '.repo', 'tls', 'results', 'coverage']);

/** Every file of the project, as its path from the root with `/` between. */
export function allFiles(folder = ''): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true })
    .filter((entry) => !NOT_OURS.has(entry.name))
    .flatMap((entry) => {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      return entry.isDirectory() ? allFiles(name) : entry.isFile() ? [name] : [];
    })
    .sort();
}

export const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
export const exists = (file: string) => existsSync(path.join(root, file));

/** Our TypeScript. */
export const sources = (): string[] => allFiles().filter((file) => file.endsWith('.ts'));

/** Tests, the suites of ports, and what only these use. */
export const isTest = (file: string) => /\.(?:test|contract|fixture)\.ts$/.test(file) || file.startsWith('tests/');

export const parse = (file: string) => ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);

/** Every node below one, in the order of the text. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  for (const child of childrenOf(node)) {
    yield child;
    yield* nodesOf(child);
  }
}

export function childrenOf(node: ts.Node): ts.Node[] {
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => { children.push(child); });
  return children;
}
