import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { migrationsDirectory } from './migrations-directory.ts';

let root: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'tekai-test-package-')));
  await writeFile(join(root, 'package.json'), '{}');
  await mkdir(join(root, 'services/projector/migrations'), { recursive: true });
  await mkdir(join(root, 'dist/services/projector'), { recursive: true });
});
afterEach(() => rm(root, { recursive: true }));

const urlOf = (path: string) => pathToFileURL(join(root, path)).href;

test('run from source, the folder beside the file', () => {
  expect(migrationsDirectory(urlOf('services/projector/service.ts'))).toBe(join(root, 'services/projector/migrations'));
});

test('run from dist, the folder beside the source of the file', () => {
  expect(migrationsDirectory(urlOf('dist/services/projector/service.js'))).toBe(join(root, 'services/projector/migrations'));
});

test('run from a dist into which the files were copied, the copies', async () => {
  await mkdir(join(root, 'dist/services/projector/migrations'));
  expect(migrationsDirectory(urlOf('dist/services/projector/service.js'))).toBe(join(root, 'dist/services/projector/migrations'));
});

test('where there are none, it says where it looked', () => {
  expect(() => migrationsDirectory(urlOf('dist/services/ingress/service.js'))).toThrow(join(root, 'services/ingress/migrations'));
});
