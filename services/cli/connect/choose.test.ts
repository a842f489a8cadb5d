import { CODEBASE_ID } from '#shared/api-client/scripted-engine.fixture.ts';
import { groupLines, namedGroups, readGroupChoice, withoutThoseBelow } from './choose-groups.ts';
import { chooseProjects, patternOf, previewLines } from './choose-projects.ts';
import { expiryInWords } from './explain-check.ts';
import { isUnreachable } from './explain-webhooks.ts';
import type { GitlabProject } from './discover.ts';

let ids = 0;
const project = (path: string, change: Partial<GitlabProject> = {}): GitlabProject => ({
  id: (ids += 1) as GitlabProject['id'], path, name: path, isArchived: false, isEmpty: false, lastActivityAt: '2026-11-01T00:00:00Z', repositoryBytes: 1_000_000, accessLevel: 40,
  defaultBranch: 'main', visibility: 'private', hasRepository: true, codebaseId: null, ...change,
});
const groups = ['shop', 'shop/till', 'tools'].map((path, at) => ({ id: at + 1, path, name: path, visibility: 'private' }));

describe('which projects', () => {
  test('newest-active first, each once, and the others told apart by why they are left out', () => {
    const twice = project('shop/web', { lastActivityAt: '2026-11-20T00:00:00Z' });
    const found = [
      project('shop/slow', { lastActivityAt: null }), twice, project('shop/cash', { lastActivityAt: '2026-11-21T00:00:00Z', isEmpty: true, defaultBranch: null, repositoryBytes: null }), twice,
      project('shop/old', { isArchived: true }), project('shop/known', { codebaseId: CODEBASE_ID as never }), project('shop/attic/a/b'),
      project('shop/guest', { accessLevel: 10 }), project('shop/off', { hasRepository: false }), project('shop/hidden', { defaultBranch: null }),
    ];
    const choice = chooseProjects(found, { excludes: ['*/ATTIC/*'], includesArchived: false });
    expect(Object.fromEntries(Object.entries(choice).map(([kind, projects]) => [kind, (projects as GitlabProject[]).map(({ path }) => path)]))).toEqual({
      follow: ['shop/cash', 'shop/web', 'shop/slow'], known: ['shop/known'], excluded: ['shop/attic/a/b'], archived: ['shop/old'], unreadable: ['shop/guest', 'shop/off', 'shop/hidden'],
    });
    expect(previewLines(choice).join('\n')).toBe(`3 projects to follow, 2.0 MB in GitLab with all history, without 1 whose size it does not tell.
  1 of them is empty: followed, and read as soon as somebody pushes.
  1 more is followed already.
  1 archived project left out (--include-archived takes them).
  3 without a repository that this token may read, left out: its user must be Reporter there, and the repository must be switched on in the project.
  1 left out by --exclude.`);
    expect(chooseProjects(found, { excludes: [], includesArchived: true }).archived).toEqual([]);
  });

  test('a public project is read by anybody, whatever the role', () => {
    expect(chooseProjects([project('a/b', { visibility: 'public', accessLevel: 10 }), project('a/c', { accessLevel: null })], { excludes: [], includesArchived: false }).follow).toHaveLength(2);
  });

  test.each([['*/test-*', 'a/b/test-x/c', true], ['a/*', 'a/b/c', true], ['a/*', 'b/a/c', false], ['a.b/c', 'axb/c', false], ['a/b', 'A/B', true], ['a/b', 'a/bc', false], ['(x', '(x', true]])('%s matches %s: %s', (pattern, path, is) => {
    expect(patternOf(pattern).test(path)).toBe(is);
  });
});

describe('which groups', () => {
  test('by number, range, path or all', () => {
    expect(readGroupChoice('1, 3', groups)).toEqual({ kind: 'groups', paths: ['shop', 'tools'] });
    expect(readGroupChoice('2-3', groups)).toEqual({ kind: 'groups', paths: ['shop/till', 'tools'] });
    expect(readGroupChoice('Shop/Till tools', groups)).toEqual({ kind: 'groups', paths: ['shop/till', 'tools'] });
    expect(readGroupChoice('ALL', groups)).toEqual({ kind: 'all' });
  });

  test('what cannot be meant is said, with what can', () => {
    expect(readGroupChoice('4', groups)).toEqual({ kind: 'unclear', why: '"4" is none of the numbers 1 to 3.' });
    expect(readGroupChoice('3-2', groups)).toMatchObject({ kind: 'unclear' });
    expect(readGroupChoice('', groups)).toMatchObject({ kind: 'unclear' });
    expect(readGroupChoice('tool', groups)).toEqual({ kind: 'unclear', why: 'GitLab shows this token no group "tool". Did you mean "tools"? A token sees the groups that its user is a member of, and public ones.' });
    expect(() => namedGroups(['nope-nope'], groups)).toThrow('GitLab shows this token no group "nope-nope". A token sees');
  });

  test('a group brings those below it, so they are not listed twice', () => {
    expect(withoutThoseBelow(['shop/till', 'shop', 'shopping', 'shop'])).toEqual(['shop', 'shopping']);
    expect(namedGroups(['/Shop/', 'shop/till'], groups)).toEqual(['shop']);
  });

  test('no more are shown than can be read', () => {
    const many = Array.from({ length: 103 }, (_, at) => ({ id: at, path: `g${at}`, name: '', visibility: 'public' }));
    expect(groupLines(many).slice(-2)).toEqual(['  100  g99  (public)', '  and 3 more: name one by its path']);
  });
});

test.each([[null, 'never, or not told'], ['2027-06-01', '2027-06-01, in 190 days'], ['2026-11-30', '2026-11-30, in 7 days'], ['2026-11-01', '2026-11-01: it has expired']])('an expiry of %s is told', (expiresAt, words) => {
  expect(expiryInWords(expiresAt, new Date('2026-11-22T18:40:00Z'))).toMatch(words);
});

test.each([['http://127.0.0.1:8080/h', 'https://gitlab.com', true], ['http://localhost:8080/h', 'https://gitlab.com', true], ['http://127.0.0.1:8080/h', 'http://127.0.0.1:9000', false], ['https://engine.example.com/h', 'https://gitlab.com', false]])('a hook to %s from %s cannot be delivered: %s', (hook, gitlab, is) => {
  expect(isUnreachable({ gitlab, hook })).toBe(is);
});
