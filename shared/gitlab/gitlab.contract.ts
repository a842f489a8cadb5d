import { gitlabProjectId, objectId, refName, type ObjectId } from '#schemas/brand.ts';
import type { Answer, GitLab, OpenGitLab, WantedHook } from './gitlab.ts';
import type { ListedProject, ProjectsAsked } from './list-pages.ts';
import { startSimulatedGitLab, type SimulatedGitLab, type SimulatedProject } from './simulated-gitlab.contract.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

/** Names that break who does not encode, or encodes twice. */
const ODD_NAMES = ['feature/a/b', 'fix#1', 'hundred%25', 'umlaut-ä-日本', 'plus+and&amp', 'dot.dot'];

const WANTED: WantedHook = {
  url: 'https://engine.example/hooks/1',
  token: 'plain-secret',
  signingToken: 'whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=',
};

/** What every adapter of the port GitLab must do, against a GitLab that answers as the real one; or against a real one (tests/gitlab). */
export function gitLabContract(name: string, open: OpenGitLab, start: () => Promise<SimulatedGitLab> = startSimulatedGitLab): void {
  describe(`GitLab: ${name}`, () => {
    let gitlab: SimulatedGitLab;
    let demo: SimulatedProject;
    let head: ObjectId;

    beforeAll(async () => {
      gitlab = await start();
      demo = await gitlab.project('demo');
      await demo.worktree.write('a.txt', 'a\n');
      head = await demo.worktree.commit('one');
      await demo.worktree.push('HEAD:refs/heads/main', ...ODD_NAMES.map((odd) => `HEAD:refs/heads/${odd}`));
    });
    afterAll(() => gitlab.stop());
    afterEach(() => gitlab.admin('DELETE', '/faults'));

    const fault = (script: object) => gitlab.admin('POST', '/faults', { kind: 'http', ...script });

    describe('a project', () => {
      test('is told by id and by path, in both with the same words', async () => {
        const byId = valueOf(await open(gitlab.access).project(demo.id));
        expect(byId).toEqual({
          id: demo.id, path: demo.path, defaultBranch: 'main', isEmpty: false, isArchived: false, visibility: 'private', beyondMembers: 'nobody',
          httpUrl: demo.url, objectFormat: 'sha1', forkedFrom: null,
        });
        expect(valueOf(await open(gitlab.access).project(demo.path))).toEqual(byId);
      });

      test('tells who reaches it, each once, its owner among them; one that is not there tells nothing', async () => {
        const members = valueOf(await open(gitlab.access).members(demo.id));
        expect(members.filter(({ level }) => level === 50).length).toBeGreaterThan(0);
        expect(new Set(members.map(({ userId }) => userId)).size).toBe(members.length);
        expect(members.every(({ isActive, expiresAt }) => typeof isActive === 'boolean' && (expiresAt === null || /^\d{4}-\d\d-\d\d/.test(expiresAt)))).toBe(true);
        expect(await open(gitlab.access).members(gitlabProjectId.parse(4_711))).toMatchObject({ kind: 'absent' });
      });

      test('tells of one member what it tells of all; that nobody is of that id is another answer than that there is no project', async () => {
        const api = open(gitlab.access);
        const [owner] = valueOf(await api.members(demo.id)).filter(({ level }) => level === 50);
        expect(valueOf(await api.member(demo.id, owner!.userId))).toEqual(owner);
        expect(await api.member(demo.id, 2_147_483_647)).toEqual({ kind: 'ok', value: null });
        expect(await api.member(gitlabProjectId.parse(4_711), owner!.userId)).toMatchObject({ kind: 'absent' });
        expect(await open({ ...gitlab.access, token: 'glpat-dead' }).member(demo.id, owner!.userId)).toMatchObject({ kind: 'refused', status: 401 });
      });

      test('is among the projects that its members list as their own, at their level', async () => {
        const api = open(gitlab.access);
        expect(valueOf(await api.ownProjects({ minLevel: 20 }))).toContain(demo.id);
        expect(await open({ ...gitlab.access, token: 'glpat-dead' }).ownProjects({ minLevel: 20 })).toMatchObject({ kind: 'refused', status: 401 });
      });

      test('that is empty says so', async () => {
        const empty = await gitlab.project('empty');
        expect(valueOf(await open(gitlab.access).project(empty.id))).toMatchObject({ isEmpty: true });
        expect(valueOf(await open(gitlab.access).heads(empty.id, { withTags: true }))).toEqual([]);
      });

      test('with SHA-256 ids says so', async () => {
        const other = await gitlab.project('sha256', { objectFormat: 'sha256' });
        expect(valueOf(await open(gitlab.access).project(other.id))).toMatchObject({ objectFormat: 'sha256' });
      });

      test('that is not there is absent', async () => {
        expect(await open(gitlab.access).project(gitlabProjectId.parse(4_711))).toMatchObject({ kind: 'absent' });
      });

      test('is refused to a dead token', async () => {
        const stranger = open({ ...gitlab.access, token: 'glpat-dead' });
        expect(await stranger.project(demo.id)).toMatchObject({ kind: 'refused', status: 401 });
        expect(await stranger.version()).toMatchObject({ kind: 'refused', status: 401 });
      });

      test('of which a token may read only the repository is refused with 403', async () => {
        const { secret } = await gitlab.admin<{ secret: string }>('POST', '/tokens', { user: 'root', scopes: ['read_repository'] });
        expect(await open({ ...gitlab.access, token: secret }).project(demo.id)).toMatchObject({ kind: 'refused', status: 403 });
      });
    });

    describe('refs', () => {
      test.each(ODD_NAMES)('the head of branch %s is found', async (odd) => {
        expect(valueOf(await open(gitlab.access).head(demo.id, refName.parse(`refs/heads/${odd}`))).commit).toBe(head);
      });

      test('a head is told with its parents: none, one or two', async () => {
        const { worktree, id } = await gitlab.project('family');
        const parentsOf = async () => valueOf(await open(gitlab.access).head(id, refName.parse('refs/heads/main'))).parents;
        const [root, one] = [await worktree.commit('root'), await worktree.commit('one')];
        await worktree.push(`${root}:refs/heads/main`);
        expect(await parentsOf()).toEqual([]);
        await worktree.push(`${one}:refs/heads/main`);
        expect(await parentsOf()).toEqual([root]);
        await worktree.git('checkout', '-q', '-b', 'side', root);
        const side = await worktree.commit('side');
        await worktree.git('merge', '-q', '--no-edit', one);
        await worktree.push();
        expect(await parentsOf()).toEqual([side, one]);
      });

      test('a branch that is not there is absent, a ref that is no branch and no tag is a mistake', async () => {
        expect(await open(gitlab.access).head(demo.id, refName.parse('refs/heads/gone'))).toMatchObject({ kind: 'absent' });
        await expect(open(gitlab.access).head(demo.id, refName.parse('refs/notes/commits'))).rejects.toThrow(TypeError);
      });

      test('tags are peeled to their commit, and listed only when asked for', async () => {
        await demo.worktree.git('tag', 'light');
        await demo.worktree.git('tag', '-a', 'with/words', '-m', 'words');
        await demo.worktree.push('--tags');
        expect(valueOf(await open(gitlab.access).head(demo.id, refName.parse('refs/tags/with/words')))).toMatchObject({ commit: head, parents: expect.any(Array) });

        const all = valueOf(await open(gitlab.access).heads(demo.id, { withTags: true }));
        const tags = all.filter(({ ref }) => ref.startsWith('refs/tags/')).sort((a, b) => (a.ref < b.ref ? -1 : 1));
        expect(tags).toEqual([{ ref: 'refs/tags/light', commit: head }, { ref: 'refs/tags/with/words', commit: head }]);
        const branches = valueOf(await open(gitlab.access).heads(demo.id, { withTags: false }));
        expect(branches.map(({ ref }) => ref).sort()).toEqual(['main', ...ODD_NAMES].map((odd) => `refs/heads/${odd}`).sort());
      });

      test('more than a page of them are all listed', async () => {
        const many = await gitlab.project('many');
        await many.worktree.write('a.txt', 'a');
        await many.worktree.commit('one');
        const names = Array.from({ length: 230 }, (_, at) => `branch-${String(at).padStart(3, '0')}`);
        await many.worktree.push(...names.map((branch) => `HEAD:refs/heads/${branch}`));
        const heads = valueOf(await open(gitlab.access).heads(many.id, { withTags: false }));
        expect(heads.map(({ ref }) => ref).sort()).toEqual(names.map((branch) => `refs/heads/${branch}`));
      });

      test('a list whose second page fails is no list (I8)', async () => {
        await fault({ path: 'branches.*page_token', status: 502 });
        const many = valueOf(await open(gitlab.access).project(demo.path.replace(/demo$/, 'many')));
        await expect(open(gitlab.access).heads(many.id, { withTags: false })).rejects.toThrow(Unavailable);
      });

      test('a commit is there or not; without its project it is absent', async () => {
        const nowhere = objectId.parse('1'.repeat(40));
        expect(await open(gitlab.access).hasCommit(demo.id, head)).toEqual({ kind: 'ok', value: true });
        expect(await open(gitlab.access).hasCommit(demo.id, nowhere)).toEqual({ kind: 'ok', value: false });
        expect(await open(gitlab.access).hasCommit(gitlabProjectId.parse(4_711), nowhere)).toMatchObject({ kind: 'absent' });
      });
    });

    describe('a token', () => {
      const tokenOf = async (wanted: object) => (await gitlab.admin<{ secret: string }>('POST', '/tokens', { user: 'root', ...wanted })).secret;

      test('tells its scopes and when it ends, whatever its scopes; and whose it is', async () => {
        const token = await tokenOf({ scopes: ['read_repository'], expiresAt: '2099-01-31' });
        expect(valueOf(await open({ ...gitlab.access, token }).tokenSelf())).toEqual({ name: 'token', scopes: ['read_repository'], expiresAt: '2099-01-31' });
        expect(await open({ ...gitlab.access, token }).currentUser()).toMatchObject({ kind: 'refused', status: 403 });
        expect(valueOf(await open(gitlab.access).currentUser())).toEqual({ username: 'root', isAdmin: true, isBot: false });
      });

      test('of OAuth lives and does not tell; a dead one is refused', async () => {
        const token = await tokenOf({ scopes: ['read_api'], kind: 'oauth' });
        expect(await open({ ...gitlab.access, token }).tokenSelf()).toEqual({ kind: 'ok', value: null });
        expect(await open({ ...gitlab.access, token: 'glpat-dead' }).tokenSelf()).toMatchObject({ kind: 'refused', status: 401 });
      });
    });

    describe('lists of groups and projects', () => {
      let team: Promise<void> | undefined;
      // Asked for by each test, not before all: where there is no simulator, a test says so by itself.
      const withTeam = () => (team ??= (async () => {
        await gitlab.admin('POST', '/groups', { name: 'Team', path: 'team' });
        await gitlab.admin('POST', '/groups', { name: 'Inner', path: 'inner', parent: 'team' });
        for (const path of ['a', 'b', 'c']) await gitlab.admin('POST', '/projects', { path, namespace: 'team' });
        for (const path of ['d', 'e']) await gitlab.admin('POST', '/projects', { path, namespace: 'team/inner' });
      })());
      const projects = { includeSubgroups: true, isMember: false, limit: 2 };

      test('give full paths, page by page, and end where GitLab ends', async () => {
        await withTeam();
        const first = valueOf(await open(gitlab.access).groups({ limit: 1 }));
        expect(first.entries).toMatchObject([{ path: 'team', name: 'Team', visibility: 'private' }]);
        // Another limit does not move the pages.
        const second = valueOf(await open(gitlab.access).groups({ limit: 50, after: first.next ?? undefined }));
        expect(second.entries).toMatchObject([{ path: 'team/inner' }]);
        expect(valueOf(await open(gitlab.access).groups({ limit: 10, search: 'inner' }))).toMatchObject({ entries: [{ path: 'team/inner' }], next: null });
      });

      test('of a group, by path and id, with or without what is below it, newest active first', async () => {
        await withTeam();
        const all = await everyProject(open(gitlab.access), { ...projects, group: 'team' });
        expect(all.map(({ path }) => path)).toEqual(['team/inner/e', 'team/inner/d', 'team/c', 'team/b', 'team/a']);
        expect((await everyProject(open(gitlab.access), { ...projects, group: 'team', includeSubgroups: false })).map(({ path }) => path)).toEqual(['team/c', 'team/b', 'team/a']);
        const [inner] = valueOf(await open(gitlab.access).groups({ limit: 10, search: 'inner' })).entries;
        expect(await everyProject(open(gitlab.access), { ...projects, group: inner!.id })).toHaveLength(2);
        expect(all[0]).toMatchObject({ name: 'e', isArchived: false, isEmpty: true, defaultBranch: null, visibility: 'private', hasRepository: true, accessLevel: 50, repositoryBytes: null });
      });

      test('of all that is seen, or only of memberships', async () => {
        await withTeam();
        const seen = (await everyProject(open(gitlab.access), { ...projects, limit: 100 })).map(({ path }) => path);
        expect(seen).toEqual(expect.arrayContaining(['root/demo', 'team/a']));
        const mine = (await everyProject(open(gitlab.access), { ...projects, limit: 100, isMember: true })).map(({ path }) => path);
        expect([mine.includes('root/demo'), mine.includes('team/a')]).toEqual([true, false]);
      });

      test('of a group that is not shown are absent; a page that fails or is cut is no end (I8)', async () => {
        await withTeam();
        expect(await open(gitlab.access).projects({ ...projects, group: 'nobody' })).toMatchObject({ kind: 'absent' });
        const { next } = valueOf(await open(gitlab.access).projects({ ...projects, group: 'team' }));
        for (const script of [{ status: 502 }, { cutAfterBytes: 60 }, { html: true }]) {
          await fault({ path: '[?&]page=2', ...script });
          await expect(open(gitlab.access).projects({ ...projects, group: 'team', after: next ?? undefined })).rejects.toThrow(Unavailable);
          await gitlab.admin('DELETE', '/faults');
        }
      });
    });

    describe('webhooks', () => {
      test('are made signed, for pushes, with verified TLS, and updated in place with both secrets', async () => {
        const api = open(gitlab.access);
        expect(valueOf(await api.hooks(demo.id))).toEqual([]);
        const made = valueOf(await api.createHook(demo.id, WANTED));
        expect(made).toEqual({ id: made.id, url: WANTED.url, isSigned: true, offersSigning: true, alertStatus: 'executable', receivesPushes: true });

        const moved = valueOf(await api.updateHook(demo.id, made.id, { ...WANTED, url: 'https://engine.example/hooks/2' }));
        expect(moved).toEqual({ ...made, url: 'https://engine.example/hooks/2' });
        expect(valueOf(await api.hooks(demo.id))).toEqual([moved]);
        expect(await gitlab.rest(`/projects/${demo.id}/hooks/${made.id}`)).toMatchObject({ push_events: true, tag_push_events: true, enable_ssl_verification: true, merge_requests_events: false, token_present: true, signing_token_present: true });
      });

      test('is tried on request: a delivery that nobody answers is an error that says so, of a hook that is not there it is absent', async () => {
        const api = open(gitlab.access);
        // Nobody listens there.
        const made = valueOf(await api.createHook(demo.id, { ...WANTED, url: 'http://127.0.0.1:9/hooks' }));
        await expect(api.testHook(demo.id, made.id)).rejects.toMatchObject({ name: 'GitLabRequestError', status: 422 });
        expect(await api.testHook(demo.id, 999_999)).toMatchObject({ kind: 'absent' });
      });

      test('of a GitLab before 19.0 are not signed', async () => {
        await gitlab.admin('PUT', '/settings', { version: '18.4.0-ee' });
        try {
          expect(valueOf(await open(gitlab.access).createHook(demo.id, WANTED))).toMatchObject({ isSigned: false, offersSigning: false });
        } finally {
          await gitlab.admin('PUT', '/settings', { version: '19.1.0-ee' });
        }
      });

      test('are deleted; one that is not there, or of a project that is not, is absent', async () => {
        const api = open(gitlab.access);
        const made = valueOf(await api.createHook(demo.id, { ...WANTED, url: 'https://engine.example/hooks/short-lived' }));
        expect(await api.deleteHook(demo.id, made.id)).toMatchObject({ kind: 'ok' });
        expect(valueOf(await api.hooks(demo.id)).map(({ id }) => id)).not.toContain(made.id);
        expect(await api.deleteHook(demo.id, made.id)).toMatchObject({ kind: 'absent' });
        expect(await api.deleteHook(gitlabProjectId.parse(4_711), made.id)).toMatchObject({ kind: 'absent' });
        const { secret } = await gitlab.admin<{ secret: string }>('POST', '/tokens', { user: 'root', scopes: ['read_api'] });
        expect(await open({ ...gitlab.access, token: secret }).deleteHook(demo.id, made.id)).toMatchObject({ kind: 'refused', status: 403 });
      });

      test('are refused to a token that may only read', async () => {
        const { secret } = await gitlab.admin<{ secret: string }>('POST', '/tokens', { user: 'root', scopes: ['read_api'] });
        expect(await open({ ...gitlab.access, token: secret }).createHook(demo.id, WANTED)).toMatchObject({ kind: 'refused', status: 403 });
      });
    });

    describe('a GitLab that is away', () => {
      const away = async (script: object) => {
        await fault(script);
        return open(gitlab.access).project(demo.id).then(() => undefined, (cause: unknown) => cause);
      };

      test.each([500, 502, 503])('with %d is Unavailable, and no answer', async (status) => {
        expect(await away({ path: '/projects/', status })).toBeInstanceOf(Unavailable);
      });

      test('with 429 says how long to wait: what it was told, or a minute', async () => {
        expect((await away({ path: '/projects/', status: 429, retryAfterSeconds: 120 }) as Unavailable).retryAfterMs).toBeGreaterThanOrEqual(120_000);
        await gitlab.admin('DELETE', '/faults');
        expect((await away({ path: '/projects/', status: 429 }) as Unavailable).retryAfterMs).toBeGreaterThanOrEqual(60_000);
      });

      test('for one moment is not noticed', async () => {
        await fault({ path: '/projects/', status: 503, times: 1 });
        expect(await open(gitlab.access).project(demo.id)).toMatchObject({ kind: 'ok' });
      });

      test('behind a sign-in page, or cut in the middle, is Unavailable', async () => {
        expect(await away({ path: '/projects/', html: true })).toBeInstanceOf(Unavailable);
        await gitlab.admin('DELETE', '/faults');
        expect(await away({ path: '/projects/', cutAfterBytes: 40 })).toBeInstanceOf(Unavailable);
      });
    });
  });
}

async function everyProject(gitlab: GitLab, asked: ProjectsAsked): Promise<ListedProject[]> {
  const all: ListedProject[] = [];
  for (let after: ProjectsAsked['after']; ;) {
    const { entries, next } = valueOf(await gitlab.projects({ ...asked, after }));
    all.push(...entries);
    if (next === null) return all;
    after = next;
  }
}

function valueOf<T>(answer: Answer<T>): T {
  if (answer.kind !== 'ok') throw new Error(`expected an answer, got ${answer.kind}: ${answer.detail}`);
  return answer.value;
}
