import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ObjectId } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { THIS_MACHINE } from '#tests/harness/this-machine.ts';
import { createGitCliTransport, FETCHES_PER_ORIGIN_MAX, type GitCliTransportOptions } from './git-cli-transport.ts';
import { createGitbeakerGitLab } from './gitbeaker-gitlab.ts';
import { gitTransportContract, idsBelow, newCodebase, objectsOf, opening, readWhole } from './git-transport.contract.ts';
import { PackTooLarge } from './git-transport.ts';
import { startScriptedServer, type Script, type ScriptedServer } from './scripted-server.contract.ts';
import { demoProject, startSimulatedGitLab, type SimulatedGitLab, type SimulatedProject } from './simulated-gitlab.contract.ts';

gitTransportContract('git', (directory) => createGitCliTransport({ directory, owner: 'test', addresses: THIS_MACHINE }));

const TOKEN = 'glpat-canary-91cd';
const CANARY = new RegExp(`${TOKEN}|${Buffer.from(`oauth2:${TOKEN}`).toString('base64')}`);

describe('GitTransport by git', () => {
  let gitlab: SimulatedGitLab;
  let demo: SimulatedProject;
  let first: ObjectId;
  let directory: string;
  let directories = 0;
  const servers: ScriptedServer[] = [];

  beforeAll(async () => {
    gitlab = await startSimulatedGitLab();
    ({ demo, first } = await demoProject(gitlab));
  });
  afterAll(() => gitlab.stop());
  beforeEach(() => { directory = join(gitlab.folder, `caches-${(directories += 1)}`); });
  afterEach(async () => {
    await gitlab.admin('DELETE', '/faults');
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  const create = (more: Partial<GitCliTransportOptions> = {}) => createGitCliTransport({ directory, owner: 'test', addresses: THIS_MACHINE, ...more, bounds: { killGraceMs: 200, ...more.bounds } });
  const fault = (script: object) => gitlab.admin('POST', '/faults', { kind: 'http', ...script });
  const serve = async (script: Script) => {
    const server = await startScriptedServer(script);
    servers.push(server);
    return server;
  };
  /** Opens a commit at a server of the test's own. */
  const openAt = (server: ScriptedServer, more: Partial<GitCliTransportOptions> = {}, signal = new AbortController().signal) =>
    create(more).open(opening(gitlab, demo, first, { access: { ...gitlab.access, baseUrl: server.url, token: TOKEN }, signal }));
  const faultOf = (promise: Promise<unknown>) => promise.then((value) => { throw new Error(`this should have failed: ${JSON.stringify(value)}`); }, (cause: unknown) => cause as Error);

  test('a disk that takes no certificate is waited for, not a fault of the push', async () => {
    // Nobody makes a folder there, not even root.
    const error = await faultOf(create({ directory: '/sys/tekai-caches' }).open(opening(gitlab, demo, first, { access: { ...gitlab.access, caPem: 'a CA' } })));
    expect(error).toBeInstanceOf(Unavailable);
  });

  describe('keeps secrets (I9)', () => {
    /** Command lines and environments of all processes, at the moment a git of ours talks to the server. */
    const seenWhileFetching = async (secretsBy: 'fd' | 'environment') => {
      const seen = { argv: '', environ: '', gits: 0 };
      const server = await serve((response) => {
        void everyProcess().then((processes) => {
          for (const { argv, environ } of processes) { seen.argv += argv; seen.environ += environ; if (argv.includes('git-remote-http') || argv.includes('remote-http')) seen.gits += 1; }
          response.destroy();
        });
      });
      const said = await faultOf(openAt(server, { secretsBy }));
      expect(server.heard[0]?.headers.authorization).toMatch(CANARY);
      return { ...seen, said: `${said.message} ${String(said.stack)}`, onDisk: await everythingIn(directory) };
    };

    test('in no argument, environment, file or error of a git that reads them from a nameless file', async () => {
      const seen = await seenWhileFetching('fd');
      expect(seen.gits).toBeGreaterThan(0);
      expect(seen.argv).not.toMatch(CANARY);
      expect(seen.environ).not.toMatch(CANARY);
      expect(seen.onDisk).not.toMatch(CANARY);
      expect(seen.said).not.toMatch(CANARY);
    });

    test('in no argument, file or error where there is no /proc; the environment is the place then', async () => {
      const seen = await seenWhileFetching('environment');
      expect(seen.argv).not.toMatch(CANARY);
      expect(seen.environ).toMatch(CANARY);
      expect(seen.onDisk).not.toMatch(CANARY);
      expect(seen.said).not.toMatch(CANARY);
    });

    test('from a server that says them back', async () => {
      const server = await serve((response, request) => {
        const line = `ERR you said ${request.headers.authorization}`;
        response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' });
        response.end(`001e# service=git-upload-pack\n0000${(line.length + 4).toString(16).padStart(4, '0')}${line}`);
      });
      expect((await faultOf(openAt(server))).message).not.toMatch(CANARY);
    });

    test('from whoever the server redirects to, and from the address it calls its own', async () => {
      const other = await serve((response) => { response.writeHead(401).end(); });
      const server = await serve((response, _, { url }) => { response.writeHead(302, { location: `${other.url}${url}` }).end(); });
      const request = opening(gitlab, demo, first, { access: { ...gitlab.access, baseUrl: server.url, token: TOKEN }, url: `${other.url}/root/demo.git` });
      const said = await faultOf(create().open(request));
      expect(said).toBeInstanceOf(Unavailable);
      expect(said.message).toMatch(/redirects git/);
      expect(other.heard).toEqual([]);
    });
  });

  describe('gives up on', () => {
    test('a server that never answers', async () => {
      const server = await serve(() => undefined);
      const said = await faultOf(openAt(server, { bounds: { fetchMs: 300 } }));
      expect(said).toBeInstanceOf(Unavailable);
      expect(said.message).toMatch(/deadline/);
      expect(await gitsOf(directory)).toEqual([]);
    });

    test('a server that drips', async () => {
      const server = await serve((response) => {
        response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' });
        const drip = setInterval(() => response.write('0'), 100);
        response.on('close', () => clearInterval(drip));
      });
      expect((await faultOf(openAt(server, { bounds: { idleSeconds: 1 } }))).message).toMatch(/connection failed.*too slow/s);
    });

    test('a wait that was told to stop', async () => {
      const stopping = new AbortController();
      const server = await serve(() => stopping.abort(new Error('told to stop')));
      expect((await faultOf(openAt(server, {}, stopping.signal))).message).toBe('told to stop');
      expect(await gitsOf(directory)).toEqual([]);
    });

    test.each([
      ['HTML', (response) => { response.writeHead(200, { 'content-type': 'text/html' }).end('<html>sign in</html>'); }],
      ['nothing', (response) => { response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' }).end(); }],
      ['half a line', (response) => { response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' }).end('001e# serv'); }],
      ['a dead socket', (response) => { response.destroy(); }],
    ] as [string, Script][])('a server that answers with %s', async (_, script) => {
      expect(await faultOf(openAt(await serve(script)))).toBeInstanceOf(Unavailable);
    });

    test('a server that shows HTML halfway', async () => {
      const objects = objectsOf(await create().open(opening(gitlab, demo, first)));
      await fault({ path: 'info/refs', html: true });
      expect(await faultOf(readWhole(objects, await idsBelow(demo, first)))).toBeInstanceOf(Unavailable);
      await gitlab.admin('DELETE', '/faults');
      await readWhole(objects, await idsBelow(demo, first));
      await objects.close();
    });

    test('a pack beyond the bound: no waiting heals that', async () => {
      const project = await gitlab.project('too-large');
      await project.worktree.write('noise.bin', randomBytes(3_000_000));
      const commit = await project.worktree.commit('one');
      await project.worktree.push();
      const objects = objectsOf(await create({ bounds: { fileBytesMax: 1_000_000 } }).open(opening(gitlab, project, commit)));
      expect(await faultOf(objects.bringAll())).toBeInstanceOf(PackTooLarge);
      await objects.close();
    });

    test('a git that is not there', async () => {
      expect((await faultOf(create({ searchPath: '/nowhere' }).open(opening(gitlab, demo, first)))).message).toMatch(/git cache: git init failed/);
    });
  });

  describe('treats its cache as disposable', () => {
    const codebase = newCodebase();
    const warm = async () => {
      const objects = objectsOf(await create().open(opening(gitlab, demo, first, { codebaseId: codebase })));
      await objects.bringAll();
      await objects.close();
      const folder = join(directory, `${codebase}-sha1`, 'test');
      const name = (await readdir(folder)).find((entry) => entry.startsWith('git-')) ?? '';
      return { folder, repository: join(folder, name) };
    };
    const openAgain = async (commit = first, parents: ObjectId[] = []) => objectsOf(await create().open(opening(gitlab, demo, commit, { codebaseId: codebase, parents })));
    const pushOne = async () => {
      await demo.worktree.write('dir-1/file-1.txt', randomBytes(20).toString('hex'));
      const commit = await demo.worktree.commit('next');
      await demo.worktree.push();
      return commit;
    };

    test('a git that was killed while fetching leaves no stuck lock', async () => {
      const { repository } = await warm();
      const next = await pushOne();
      await fault({ path: '/git-upload-pack$', silent: true });
      const killed = faultOf(create().open(opening(gitlab, demo, next, { codebaseId: codebase })));
      const gits = await until(async () => { const found = await gitsOf(directory); return found.length > 0 && found; });
      await until(async () => (await gitlab.requests('info/refs')).length > 0);
      for (const pid of gits) process.kill(pid, 'SIGKILL');
      expect(await killed).toBeInstanceOf(Unavailable);
      await writeFile(join(repository, 'shallow.lock'), '');
      await writeFile(join(repository, 'objects/pack/tmp_pack_x'), 'x');

      await gitlab.admin('DELETE', '/faults');
      const objects = await openAgain(next);
      expect(objects.isComplete).toBe(true);
      await readWhole(objects, await idsBelow(demo, next));
      await objects.close();
      expect(await readdir(join(repository, 'objects/pack'))).not.toContain('tmp_pack_x');
    });

    test('one that was busy when we were killed is not taken up: its git may still write', async () => {
      const { folder, repository } = await warm();
      const state = JSON.parse(await readFile(join(folder, 'cache.json'), 'utf8')) as object;
      await writeFile(join(folder, 'cache.json'), JSON.stringify({ ...state, isBusy: true }));
      const objects = await openAgain();
      expect(objects.isComplete).toBe(false);
      await readWhole(objects, await idsBelow(demo, first));
      await objects.close();
      expect(await readdir(folder)).not.toContain(repository);
      expect((await readdir(folder)).filter((entry) => entry.startsWith('git-'))).toHaveLength(1);
    });

    test.each([
      ['whose packs are gone', async (repository: string) => removeAll(join(repository, 'objects/pack'))],
      ['whose packs are noise', async (repository: string) => {
        for (const name of await readdir(join(repository, 'objects/pack'))) await overwrite(join(repository, 'objects/pack', name));
      }],
      ['without a HEAD', async (repository: string) => removeAll(repository, 'HEAD')],
      ['of which nothing is known', async (repository: string) => writeFile(join(repository, '../cache.json'), '{"cut')],
    ])('one %s is begun anew, in the middle of a reading too', async (_, damage) => {
      const { repository } = await warm();
      await damage(repository);
      const objects = await openAgain();
      await readWhole(objects, await idsBelow(demo, first));
      await objects.close();

      const next = await pushOne();
      await damage((await warm()).repository);
      const after = await openAgain(next);
      await readWhole(after, await idsBelow(demo, next));
      await after.close();
    });

    test('after many pushes it holds the last heads, few packs and no waste', async () => {
      const { folder, repository } = await warm();
      // As if 30 were behind us.
      const state = JSON.parse(await readFile(join(folder, 'cache.json'), 'utf8')) as object;
      await writeFile(join(folder, 'cache.json'), JSON.stringify({ ...state, fetches: 30 }));
      let last = first;
      for (let push = 0; push < 25; push += 1) {
        const next = await pushOne();
        // Most pushes are of one commit.
        const objects = await openAgain(next, push % 10 === 3 ? [] : [last]);
        await objects.close();
        last = next;
      }
      const objects = await openAgain(last);
      await readWhole(objects, await idsBelow(demo, last));
      await objects.close();
      expect(await readdir(join(repository, 'refs/sync'))).toHaveLength(20);
      expect(await commitsOf(repository)).toBe(20);
      const { stdout } = await promisify(execFile)('git', ['--git-dir', repository, 'count-objects', '-v']);
      expect(Number(/^packs: (\d+)/m.exec(stdout)?.[1])).toBeLessThan(10);
      expect(Number(/^count: (\d+)/m.exec(stdout)?.[1])).toBeLessThan(60);
      const shallow = (await readFile(join(repository, 'shallow'), 'utf8')).trim().split('\n');
      expect(shallow.length).toBeLessThan(30);
    });
  });

  test(`no more than ${FETCHES_PER_ORIGIN_MAX} fetches go to one GitLab at a time`, async () => {
    let now = 0;
    let most = 0;
    const server = await serve((response) => {
      now += 1;
      most = Math.max(most, now);
      setTimeout(() => { now -= 1; response.destroy(); }, 300);
    });
    const transport = create();
    const access = { ...gitlab.access, baseUrl: server.url };
    await Promise.allSettled(Array.from({ length: FETCHES_PER_ORIGIN_MAX * 2 }, () => transport.open(opening(gitlab, demo, first, { access }))));
    expect(server.heard.length).toBe(FETCHES_PER_ORIGIN_MAX * 2);
    expect(most).toBeLessThanOrEqual(FETCHES_PER_ORIGIN_MAX);
    expect(most).toBeGreaterThan(1);
  });

  test('a GitLab with a certificate of its own is reached with its authority, and not without, by REST and git', async () => {
    const folder = join(gitlab.folder, 'tls');
    await mkdir(folder, { recursive: true });
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    await promisify(execFile)('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', keyFile, '-out', certFile]);
    const secure = await startSimulatedGitLab({ tls: { keyFile, certFile } });
    try {
      const access = { ...secure.access, caPem: await readFile(certFile, 'utf8') };
      expect(await createGitbeakerGitLab(access, { addresses: THIS_MACHINE }).version()).toMatchObject({ kind: 'ok' });
      expect(await faultOf(createGitbeakerGitLab(secure.access, { addresses: THIS_MACHINE, bounds: { triesMax: 1 } }).version())).toBeInstanceOf(Unavailable);
      const request = opening(gitlab, demo, first, { url: `${secure.url}/root/none.git` });
      expect(await create().open({ ...request, access })).toMatchObject({ kind: 'absent' });
      expect((await faultOf(create().open({ ...request, access: secure.access }))).message).toMatch(/connection failed.*certificate/s);
    } finally {
      await secure.stop();
    }
  });

  test('a source with a proxy is reached through it, with its login, by REST and git', async () => {
    const heard: string[] = [];
    const proxy = createServer((request, response) => {
      const login = request.headers['proxy-authorization'];
      // git asks without a login first, to hear which kind is wanted.
      if (login === undefined) return response.writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' }).end();
      heard.push(`${login} ${request.url}`);
      const { pathname, search } = new URL(request.url ?? '');
      const onward = httpRequest(`${gitlab.url}${pathname}${search}`, { method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      return request.pipe(onward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = proxy.address() as AddressInfo;
      const access = { ...gitlab.access, proxyUrl: `http://user:p%40ss@127.0.0.1:${port}` };
      expect(await createGitbeakerGitLab(access, { addresses: THIS_MACHINE }).project(demo.id)).toMatchObject({ kind: 'ok' });
      const objects = objectsOf(await create().open(opening(gitlab, demo, first, { access })));
      await readWhole(objects, await idsBelow(demo, first));
      await objects.close();
      const login = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
      expect(heard.length).toBeGreaterThan(3);
      for (const line of heard) expect(line.startsWith(login)).toBe(true);
    } finally {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    }
  });
});

interface Process { readonly pid: number; readonly argv: string; readonly environ: string }

async function commitsOf(repository: string): Promise<number> {
  const { stdout } = await promisify(execFile)('git', ['--git-dir', repository, 'rev-list', '--all', '--count']);
  return Number(stdout);
}

async function everyProcess(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return Promise.all(pids.map(async (pid) => ({
    pid: Number(pid),
    argv: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    environ: await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
  })));
}

/** Processes that work on a cache below the folder. */
async function gitsOf(folder: string): Promise<number[]> {
  return (await everyProcess()).filter(({ argv }) => argv.includes(folder)).map(({ pid }) => pid);
}

async function everythingIn(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const texts = await Promise.all(entries.filter((entry) => entry.isFile()).map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')));
  return texts.join('\n');
}

async function until<T>(state: () => Promise<T | false>): Promise<T> {
  for (;;) {
    const found = await state();
    if (found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function removeAll(folder: string, only?: string): Promise<void> {
  for (const name of only === undefined ? await readdir(folder) : [only]) await rm(join(folder, name), { recursive: true });
}

async function overwrite(path: string): Promise<void> {
  await chmod(path, 0o600);
  await writeFile(path, randomBytes(500));
}
