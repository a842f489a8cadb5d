import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { translateDelivery, type Meaning } from './translate-delivery.ts';

const meaningOf = (body: object) => translateDelivery(Buffer.from(JSON.stringify(body)));
const kindOf = (meaning: Meaning) => (meaning.kind === 'hint' ? meaning.about : meaning.kind);

const DOCS = readFileSync(path.resolve(import.meta.dirname, '../../docs/connect-your-gitlab.md'), 'utf8');
/** The rows of the table in the docs: the events, and what they are. */
const TOLD = [...DOCS.matchAll(/^\| (`[a-z_]+`(?:, (?:`[a-z_]+`|whatever else))*) \| (?:a )?(push|members|projects|ignored) \|/gm)].flatMap(([, names = '', kind = '']) => [...names.matchAll(/`([a-z_]+)`/g)].map(([, event = '']) => [event, kind] as const));

test('the table of events in the docs is read', () => expect(TOLD.length).toBeGreaterThan(40));

test.each(TOLD)('%s is taken as what the docs say: %s', (event, kind) => {
  for (const body of [{ event_name: event, project_id: 7 }, { object_kind: event, project_id: '7' }]) expect(kindOf(meaningOf(body))).toBe(kind);
});

test.each(['user_add_to_team', 'project_transfer', 'project_destroy'])('%s is about its own project, and no other is asked for it', (event) => {
  expect(meaningOf({ event_name: event, project_id: 7 })).toMatchObject({ kind: 'hint', event, project: 7 });
});

test.each(['user_remove_from_group', 'user_destroy', 'subgroup_destroy', 'group_destroy'])('%s is about whatever its group or user may be in', (event) => {
  expect(meaningOf({ event_name: event, group_id: 7, user_id: 8, full_path: 'a/b' })).toMatchObject({ kind: 'hint', event, project: null });
});

test.each(['group_rename', 'subgroup_create', 'user_create', 'user_access_request_to_project'])('%s changes nobody\'s reading: ignored, and the reason says why', (event) => {
  expect(meaningOf({ event_name: event, project_id: 7, group_id: 8 })).toMatchObject({ kind: 'ignored', reason: expect.stringMatching(new RegExp(`^${event}: .{20}`)) });
});

const FIXTURES = path.resolve(import.meta.dirname, '../../../shared/fixtures/gitlab/webhooks');
const recorded = existsSync(FIXTURES) ? readdirSync(FIXTURES).filter((name) => /system.*\.json$/.test(name)) : [];
const asFar = recorded.length === 0 ? test.skip : test;

asFar(`what system hooks of GitLab sent is what its event is (${recorded.length} recorded)`, () => {
  const meanings = recorded.map((name) => {
    const body = readFileSync(path.join(FIXTURES, name));
    const { event_name: event, project_id: project } = JSON.parse(body.toString()) as { event_name: string; project_id?: number };
    return { name, event, project, meaning: translateDelivery(body) };
  });
  const expected = new Map(TOLD);
  for (const { name, event, project, meaning } of meanings) {
    expect([name, kindOf(meaning)]).toEqual([name, expected.get(event)]);
    if (meaning.kind !== 'ignored') expect([name, meaning.project]).toEqual([name, project ?? null]);
  }
  expect(new Set(meanings.map(({ meaning }) => kindOf(meaning)))).toEqual(new Set(['push', 'members', 'projects', 'ignored']));
});
