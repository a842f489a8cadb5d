import { POLICY } from '#shared/access/policy.ts';
import { FACTS } from '#schemas/events/facts.ts';
import { ENTRY_ACTS, FACTS_OF_PEOPLE, RECORDED } from '#shared/audit/recorded.ts';

/** They change nothing, and show what no other reading does. */
const SHOWING = ['GET /v1/sources/:id/manual-hook', 'GET /v1/deliveries/:id/body'];
/** A GET, for browsers come back by no other: it may make somebody a user. */
const COMING_BACK = 'GET /v1/auth/gitlab/:source/callback';
/** What GitLab, the clock and the work itself say, and nobody decides. */
const OF_NOBODY = /^(?:push\.received|delivery\.ignored|gitlab\.hinted|hook\..*|gap\.detected|codebase\.(?:deleted|readers-observed|fetched|scanned|stored)|sync\.(?:skipped|failed)|ref\..*|bindings\.recorded)$/;

const changes = (route: string) => !route.startsWith('GET ') && !route.startsWith('WS ');

test('of every address that changes something it is said where what is done there is recorded', () => {
  expect(Object.keys(RECORDED).sort()).toEqual([...Object.keys(POLICY).filter(changes), ...SHOWING, COMING_BACK].sort());
});

test('every fact that a person makes is asked for with the entries', () => {
  expect([...FACTS_OF_PEOPLE].sort()).toEqual(FACTS.map(({ type }) => type).filter((type) => !OF_NOBODY.test(type)).sort());
});

test('no entry has the name of a fact', () => {
  expect(ENTRY_ACTS.filter((act) => act.includes('.'))).toEqual([]);
});
