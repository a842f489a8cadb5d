import { execFileSync } from 'node:child_process';
import { chmod, chown, cp, lstat, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Program, spawnProgram } from '../../tests/harness/spawn-program.ts';
import { removeStateFolder, stateFolder } from '../../tests/harness/state-folder.ts';
import { chooseServerAccount } from './embedded-account.ts';
import { binariesFor, findInstalledBinaries, hydrateSymlinks } from './embedded-binaries.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-server.ts';
import { createPool } from './pool.ts';
import { isUnavailable } from './unavailable.ts';

const ENGINE = join(process.cwd(), 'tests/harness/engine-program.ts');
const isRoot = process.getuid?.() === 0;
/** Needs root: to be somebody else, or to mount a small disk. Shown as skipped elsewhere. */
const rootTest = isRoot ? test : test.skip;
const NOBODY = { uid: 65_534, gid: 65_534 };

let folder: { parent: string; stateDir: string };
let programs: Program[] = [];
beforeEach(async () => { folder = await stateFolder(); });
afterEach(async () => {
  await Promise.all(programs.map((program) => program.stop()));
  programs = [];
  await removeStateFolder(folder.parent);
});

function engineAsNobody(stateDir = folder.stateDir): Program {
  const program = spawnProgram(ENGINE, { arguments: [stateDir], account: NOBODY });
  programs.push(program);
  return program;
}

/** A disk of its own below the test's folder. */
async function onSmallDisk(megabytes: number, use: (directory: string) => Promise<void>): Promise<void> {
  const disk = join(folder.parent, 'disk');
  await mkdir(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', disk]);
  try {
    await use(disk);
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
}

rootTest('as an ordinary user it starts too, and the data are that user\'s', async () => {
  await mkdir(folder.stateDir);
  await chown(folder.stateDir, NOBODY.uid, NOBODY.gid);
  const program = engineAsNobody();
  expect(await program.line()).toMatchObject({ adopted: false });
  expect((await stat(join(folder.stateDir, 'postgres/cluster/data'))).uid).toBe(NOBODY.uid);
  expect(await program.stop()).toBe(0);
});

rootTest('what an ordinary user made a root engine goes on with as that user', async () => {
  await mkdir(folder.stateDir);
  await chown(folder.stateDir, NOBODY.uid, NOBODY.gid);
  const before = engineAsNobody();
  const { url } = await before.line<{ url: string }>();
  await before.stop();

  const asRoot = await startEmbeddedPostgres({ stateDir: folder.stateDir });
  expect(asRoot.url).toBe(url);
  await asRoot.stop();
  expect(await engineAsNobody().line()).toMatchObject({ url });
});

rootTest('what root made an ordinary user is told that it is not theirs', async () => {
  const asRoot = await startEmbeddedPostgres({ stateDir: folder.stateDir });
  await asRoot.stop();
  expect(await engineAsNobody().line()).toMatchObject({ kind: 'not-writable', message: expect.stringMatching(/belongs to user id \d+, and the engine runs as 65534.*TEKAI_DATABASE_URL/s) });
});

rootTest('a folder that the user may not write is a clear error', async () => {
  await mkdir(folder.stateDir);
  expect(await engineAsNobody().line()).toMatchObject({ kind: 'not-writable', message: expect.stringMatching(/user id 65534.*EACCES/s) });
});

test('a file in the way of the state folder is a clear error', async () => {
  await writeFile(join(folder.parent, 'file'), '');
  await expect(startEmbeddedPostgres({ stateDir: join(folder.parent, 'file/state') })).rejects.toMatchObject({ kind: 'not-writable' });
  await expect(startEmbeddedPostgres({ stateDir: join(folder.parent, 'file') })).rejects.toMatchObject({ kind: 'not-writable' });
});

rootTest('root with a state folder that nobody else can reach keeps the data elsewhere, says where, and changes no mode', async () => {
  await chmod(folder.parent, 0o700);
  const pointer = join(folder.stateDir, 'postgres/LOCATION.txt');
  const first = await startEmbeddedPostgres({ stateDir: folder.stateDir });
  const home = (await readFile(pointer, 'utf8')).split('\n')[0] ?? '';
  try {
    await first.stop();
    expect(home).toMatch(/^\/var\/(lib|tmp)\/tekai-engine\/state-[0-9a-f]{12}-[0-9a-f]{8}$/);
    expect((await stat(folder.parent)).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder.stateDir, 'postgres'))).toEqual(['LOCATION.txt']);

    const second = await startEmbeddedPostgres({ stateDir: folder.stateDir });
    expect(second.url).toBe(first.url);
    await second.stop();
  } finally {
    await rm(home, { recursive: true });
  }
  // An empty database instead would look like the loss of everything.
  await expect(startEmbeddedPostgres({ stateDir: folder.stateDir })).rejects.toMatchObject({ kind: 'data-missing', message: expect.stringContaining(pointer) });
});

rootTest('a full disk is a clear error when the database is made, and nothing half made is left', async () => {
  await onSmallDisk(16, async (disk) => {
    await expect(startEmbeddedPostgres({ stateDir: disk })).rejects.toMatchObject({ kind: 'disk-full', message: expect.stringMatching(/free some space/) });
    expect(await readdir(join(disk, 'postgres'))).toEqual([]);
  });
});

rootTest('a full disk is a clear error at a later start, which works again when there is room', async () => {
  await onSmallDisk(128, async (disk) => {
    const first = await startEmbeddedPostgres({ stateDir: disk });
    await first.stop();
    execFileSync('/bin/sh', ['-c', `dd if=/dev/zero of='${disk}/filler' bs=64k 2>/dev/null || true`]);
    await expect(startEmbeddedPostgres({ stateDir: disk })).rejects.toMatchObject({ kind: 'disk-full' });
    await rm(join(disk, 'filler'));
    const second = await startEmbeddedPostgres({ stateDir: disk });
    await second.stop();
  });
});

rootTest('a disk that fills up while the server runs ends in one clear error, and what was committed is there afterwards', async () => {
  await onSmallDisk(128, async (disk) => {
    const server: EmbeddedPostgres = await startEmbeddedPostgres({ stateDir: disk });
    const pool = createPool(server.url, { connectionsMax: 1, applicationName: 'test' });
    await pool.query('create table fact (id int, filler text)');
    await pool.query(`insert into fact values (1, '')`);
    const writing = (async () => { for (;;) await pool.query(`insert into fact select 2, string_agg(md5(random()::text), '') from generate_series(1, 20000)`); })();
    expect(isUnavailable(await writing.catch((error: unknown) => error))).toBe(true);
    await pool.end();
    await server.stop();

    execFileSync('mount', ['-o', 'remount,size=256m', disk]);
    const again = await startEmbeddedPostgres({ stateDir: disk });
    const after = createPool(again.url, { connectionsMax: 1, applicationName: 'test' });
    expect((await after.query('select count(*)::int as n from fact where id = 1')).rows).toEqual([{ n: 1 }]);
    await after.end();
    await again.stop();
  });
});

rootTest('an engine in another container on the same volume is seen, and no second server started on its files', async () => {
  const container = spawnProgram(ENGINE, {
    arguments: [folder.stateDir], within: ['unshare', '--pid', '--ipc', '--fork', '--kill-child', '--mount-proc'],
  });
  const { url } = await container.line<{ url: string }>();
  try {
    await expect(startEmbeddedPostgres({ stateDir: folder.stateDir })).rejects.toMatchObject({ kind: 'in-use', message: expect.stringContaining('another container') });
    const pool = createPool(url, { connectionsMax: 1, applicationName: 'test' });
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  } finally {
    await container.kill();
  }
});

test('binaries without their library links get them', async () => {
  const installed = await findInstalledBinaries();
  const copy = { ...installed, directory: join(folder.parent, 'package/native') };
  await cp(installed.directory, copy.directory, { recursive: true, filter: async (path) => !(await lstat(path)).isSymbolicLink() });
  expect(await binariesFor(folder.parent, await chooseServerAccount(), copy)).toEqual(copy);
  expect(await hydrateSymlinks(copy)).toBe(true);
});

rootTest('binaries in a read-only folder without their library links are copied to where the data are', async () => {
  const installed = await findInstalledBinaries();
  await onSmallDisk(256, async (disk) => {
    const copy = { ...installed, directory: join(disk, 'native') };
    await cp(installed.directory, copy.directory, { recursive: true, filter: async (path) => !(await lstat(path)).isSymbolicLink() });
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    const usable = await binariesFor(folder.parent, await chooseServerAccount(), copy);
    expect(usable.directory).toBe(join(folder.parent, `binaries-${installed.version}`, 'native'));
  });
});

rootTest('binaries that the server\'s account cannot reach are copied', async () => {
  const installed = await findInstalledBinaries();
  const closed = join(folder.parent, 'closed');
  await mkdir(closed, { mode: 0o700 });
  await cp(installed.directory, join(closed, 'native'), { recursive: true, verbatimSymlinks: true });
  const usable = await binariesFor(folder.parent, await chooseServerAccount(), { ...installed, directory: join(closed, 'native') });
  expect(usable.directory).toBe(join(folder.parent, `binaries-${installed.version}`, 'native'));
});

test('a platform without binaries is told the way out', async () => {
  await expect(findInstalledBinaries('win32', 'x64')).rejects.toMatchObject({ kind: 'no-binaries', message: expect.stringContaining('TEKAI_DATABASE_URL') });
});

rootTest('root without an account to switch to is told the way out', async () => {
  await expect(chooseServerAccount('/dev/null')).rejects.toMatchObject({ kind: 'no-account', message: expect.stringContaining('TEKAI_DATABASE_URL') });
});
