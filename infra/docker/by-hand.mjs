// The Dockerfile's steps, one after the other, without Docker: each stage is a folder that they are done in by chroot. Then the image is
// run as compose runs it (its account, a root that is read-only, its volume and /tmp), until its health check says yes. As root on Debian:
//   apt-get install debootstrap && node infra/docker/by-hand.mjs /tmp/tekai-image postgres://user:secret@127.0.0.1:5432/tekai [words]
// The base image is a fresh Debian with Node of the version that FROM names, from npm's registry, and this machine's npm. The folder is
// kept: a second time only the run is done again.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [folder = '', database = '', ...words] = process.argv.slice(2);
const root = path.resolve(import.meta.dirname, '../..');
/** And the simulator is on this machine. */
const PORTS = { TEKAI_PORT: '18080', TEKAI_INTERNAL_PORT: '18081', TEKAI_ALLOW_ADDRESSES: '127.0.0.0/8,::1/128' };
const READY_MS_MAX = 120_000;
const run = (command, args, options = {}) => execFileSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
const said = (text) => console.log(`\n== ${text}`);

/** One instruction a line, as [word, rest]. */
const instructions = readFileSync(path.join(root, 'Dockerfile'), 'utf8').replace(/^#.*\n/gm, '').replace(/\\\n/g, ' ').split('\n').filter(Boolean).map((line) => [line.split(' ')[0], line.slice(line.indexOf(' ') + 1)]);

function base() {
  const into = path.join(folder, 'base');
  if (existsSync(into)) return into;
  said('the base image');
  run('debootstrap', ['--variant=minbase', 'bookworm', `${into}.part`]);
  const [, version] = /^FROM node:([\d.]+)-bookworm-slim/m.exec(readFileSync(path.join(root, 'Dockerfile'), 'utf8'));
  run('npm', ['pack', '--silent', `node-linux-${process.arch}@${version}`], { cwd: folder });
  run('tar', ['-xzf', path.join(folder, `node-linux-${process.arch}-${version}.tgz`), '-C', `${into}.part/usr/local/bin`, '--strip-components=2', 'package/bin/node']);
  const npm = path.resolve(path.dirname(realpathSync('/usr/bin/npm')), '..');
  run('cp', ['-a', npm, `${into}.part/usr/local/lib/npm`]);
  writeFileSync(`${into}.part/usr/local/bin/npm`, '#!/bin/sh\nexec node /usr/local/lib/npm/bin/npm-cli.js "$@"\n', { mode: 0o755 });
  // Whom this machine trusts: behind a proxy npm needs it.
  mkdirSync(`${into}.part/etc/ssl/certs`, { recursive: true });
  run('cp', ['/etc/ssl/certs/ca-certificates.crt', `${into}.part/etc/ssl/certs/`]);
  run('chroot', [`${into}.part`, 'useradd', '--uid', '1000', '--create-home', 'node']);
  run('mv', [`${into}.part`, into]);
  return into;
}

/** In a mount namespace of its own, which ends with it. */
const inside = (stage, mounts, command) => ['unshare', ['--mount', 'sh', '-ec', `mount --bind ${stage} ${stage}; mount --rbind /dev ${stage}/dev; mount -t proc proc ${stage}/proc; ${mounts}\nexec ${command}`]];
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Gives the last stage's folder, and what the instructions say of how it is run. */
function build() {
  const stages = new Map();
  const image = { stage: '', workdir: '/', env: {}, user: 'root', entrypoint: [], command: [] };
  for (const [word, rest] of instructions) {
    said(`${word} ${rest}`);
    const at = (name) => path.join(image.stage, path.resolve(image.workdir, name));
    if (word === 'FROM') {
      const name = / AS (\S+)$/.exec(rest)?.[1] ?? 'image';
      Object.assign(image, { stage: path.join(folder, name), workdir: '/', env: {}, user: 'root' });
      stages.set(name, image.stage);
      rmSync(image.stage, { recursive: true, force: true });
      run('cp', ['-a', '--reflink=auto', base(), image.stage]);
      run('cp', ['/etc/resolv.conf', `${image.stage}/etc/resolv.conf`]);
    } else if (word === 'WORKDIR') mkdirSync(`${image.stage}${image.workdir = rest}`, { recursive: true });
    else if (word === 'COPY') {
      const from = /^--from=(\S+) (\S+) (\S+)$/.exec(rest);
      if (from !== null) run('cp', ['-a', `${stages.get(from[1])}${from[2]}`, from[3].endsWith('/') ? `${at(from[3])}/` : at(from[3])]);
      else if (rest === '. .') run('sh', ['-c', `git ls-files -z ${context().join(' ')} | xargs -0 cp --parents -t ${at('.')}`], { cwd: root });
      else run('cp', rest.split(' ').map((name, index, all) => (index === all.length - 1 ? `${at(name)}/` : path.join(root, name))));
    } else if (word === 'RUN') run(...inside(image.stage, '', `chroot ${image.stage} sh -ec ${quoted(`cd ${image.workdir}; ${rest}`)}`), { env: { ...process.env, ...image.env, PATH: PATH_INSIDE } });
    else if (word === 'ARG') image.env[rest.split('=')[0]] = rest.split('=')[1];
    else if (word === 'ENV') for (const one of rest.split(' ')) image.env[one.split('=')[0]] = one.split('=')[1].replace(/^\$\{(\w+)\}$/, (_, name) => image.env[name]);
    else if (word === 'USER') image.user = rest;
    else if (word === 'ENTRYPOINT') image.entrypoint = JSON.parse(rest);
    else if (word === 'CMD') image.command = JSON.parse(rest);
    else if (!['VOLUME', 'EXPOSE', 'HEALTHCHECK'].includes(word)) throw new Error(`${word} is not known here`);
  }
  writeFileSync(path.join(folder, 'image.json'), JSON.stringify(image));
  return image;
}

const PATH_INSIDE = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What .dockerignore lets in, and is ours. */
const context = () => readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));

/** As its account, with nothing of this machine's environment. */
function start({ stage, workdir, env, user }, command) {
  const given = { ...env, ...PORTS, TEKAI_DATABASE_URL: database, PATH: PATH_INSIDE, HOME: '/home/node' };
  const mounts = `mount -o remount,bind,ro ${stage}; mount -t tmpfs tmpfs ${stage}/tmp; mount --bind ${path.join(folder, 'state')} ${stage}/var/lib/tekai;`;
  const line = ['env', '-i', ...Object.entries(given).map(([name, value]) => `${name}=${value}`), ...command].map(quoted).join(' ');
  return inside(stage, mounts, `setpriv --no-new-privs --bounding-set=-all chroot --userspec=${user}:${user} ${stage} sh -c ${quoted(`cd ${workdir}; exec ${line}`)}`);
}

const known = path.join(folder, 'image.json');
const image = existsSync(known) ? JSON.parse(readFileSync(known, 'utf8')) : build();
mkdirSync(path.join(folder, 'state'), { recursive: true });
run('chown', ['1000:1000', path.join(folder, 'state')]);
said(`${[...image.entrypoint, ...(words.length > 0 ? words : image.command)].join(' ')}, as ${image.user}, on a root that is read-only`);
const engine = spawn(...start(image, [...image.entrypoint, ...(words.length > 0 ? words : image.command)]), { stdio: ['ignore', 'inherit', 'inherit'] });
const ended = new Promise((resolve) => { engine.once('close', resolve); });
process.once('SIGINT', () => engine.kill('SIGTERM'));
try {
  for (const [what, command, isWanted] of [['writes to its root', ['touch', '/app/x'], false], ['writes to the state folder', ['touch', '/var/lib/tekai/written'], true], ['has git', ['git', '--version'], true], ['is not root', ['sh', '-c', '[ "$(id -u)" = 1000 ]'], true]]) {
    let isSo = true;
    try { run(...start(image, command), { stdio: 'ignore' }); } catch { isSo = false; }
    said(`it ${what}: ${isSo}`);
    if (isSo !== isWanted) throw new Error(`${what} is ${isSo}`);
  }
  const check = JSON.parse(/CMD (\[.*\])$/m.exec(instructions.find(([word]) => word === 'HEALTHCHECK')[1])[1]);
  for (const end = Date.now() + READY_MS_MAX; ; await sleep(1_000)) {
    try { run(...start(image, check), { stdio: 'pipe' }); break; } catch (error) { if (Date.now() > end) throw error; }
  }
  said('its health check says yes');
  if (process.env.KEEP === '1') await ended;
} finally {
  engine.kill('SIGTERM');
  await ended;
}
