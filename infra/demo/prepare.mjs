// Makes a fresh clone ready to run: `node infra/demo/prepare.mjs install|build`. Needs nothing but Node and git, and does only what is
// not done yet. Plain JavaScript in an old dialect, so that an old Node can still say that it is too old.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MIN = [20, 19];
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const STAMP = path.join(root, 'dist', '.built');
const INPUTS = ['schemas', 'shared', 'services', 'infra', 'bench', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])) {
  fail(`This is Node ${process.versions.node}; the engine takes ${NODE_MIN.join('.')} or newer. Install one from https://nodejs.org, or "nvm install 22".`);
}
if (spawnSync('git', ['--version']).status !== 0) fail('There is no git on this machine (PATH). Install it: the engine reads repositories with it.');

if (changedAt(path.join(root, 'node_modules', '.package-lock.json')) < changedAt(path.join(root, 'package-lock.json'))) install();
if (process.argv[2] !== 'install' && changedAt(STAMP) < Math.max(...INPUTS.map((name) => newestBelow(path.join(root, name))))) {
  const began = Date.now();
  run('Building', process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json'], 'The lines above say where the sources do not compile.');
  // What was changed while it was being built is built again next time.
  writeFileSync(STAMP, '');
  utimesSync(STAMP, began / 1000, began / 1000);
}

function install() {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  const hint = 'Is the registry reachable (npm ping), and may this account write node_modules?';
  // npm ci wants every package of every platform in the lockfile; one written where the registry lacked some is incomplete for it.
  // npm install takes the same versions with the same checksums from it, and --no-save leaves it as it is.
  run('Installing packages (npm ci)', 'npm', ['ci', ...quiet], hint, {
    when: /\bEUSAGE\b/, what: 'The lockfile is not complete; npm install', words: ['install', '--no-save', ...quiet],
  });
}

function run(what, command, words, hint, otherwise) {
  process.stderr.write(`${what} … `);
  const began = Date.now();
  const { status, stdout, stderr, error } = spawnSync(command, words, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status === 0) { process.stderr.write(`${((Date.now() - began) / 1000).toFixed(1)} s\n`); return; }
  if (otherwise && otherwise.when.test(stderr)) {
    process.stderr.write('no\n');
    run(otherwise.what, command, otherwise.words, hint);
    return;
  }
  process.stderr.write(`failed\n${stdout || ''}${stderr || ''}`);
  fail(`${command} ${words.join(' ')} in ${root} ${error ? `did not run (${error.message})` : `ended with ${status}`}. ${hint}`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** 0 when there is no such file. */
function changedAt(file) {
  return existsSync(file) ? statSync(file).mtimeMs : 0;
}

function newestBelow(file) {
  if (!existsSync(file)) return 0;
  if (!statSync(file).isDirectory()) return /\.(ts|sql|json)$/.test(file) && !/\.test\.ts$/.test(file) ? changedAt(file) : 0;
  return Math.max(0, ...readdirSync(file).map((name) => newestBelow(path.join(file, name))));
}
