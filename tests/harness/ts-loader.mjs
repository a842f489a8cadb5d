// Runs our TypeScript in a child process without building it first:
//
//   node --conditions=source --import ./tests/harness/ts-loader.mjs file.ts [arguments]
//
// from the project's root. A test spawns its child from anywhere by absolute names:
//
//   spawn(process.execPath, ['--conditions=source', '--import', new URL('../harness/ts-loader.mjs', import.meta.url).href, childFile, …])
//
// `#shared/*.ts` and `#schemas/*.ts` resolve to sources, also without `--conditions=source`: this loader adds the condition.
// Types are stripped by @swc/core, with the settings Jest uses, and never checked. Stack traces have the lines of the source.
// Start-up costs 0.1 s more than a plain node's, and a `dist` that somebody built yesterday is never run by mistake.
import { readFile } from 'node:fs/promises';
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

// Node loads this file twice: by --import on the main thread, where it registers itself, and then on the thread of the hooks.
if (isMainThread) {
  process.setSourceMapsEnabled(true);
  register(import.meta.url);
}

export async function resolve(specifier, context, next) {
  return next(specifier, { ...context, conditions: [...new Set([...context.conditions, 'source'])] });
}

export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
  // Loaded only here, on the hooks' thread: the program itself must not pay for the compiler.
  const { transform } = await import('@swc/core');
  const filename = fileURLToPath(url);
  const { code } = await transform(await readFile(filename, 'utf8'), {
    filename, swcrc: false, sourceMaps: 'inline',
    jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' },
  });
  return { format: 'module', source: code, shortCircuit: true };
}
