import type { Fact } from '#schemas/events/facts.ts';
import { samples } from '#schemas/samples.fixture.ts';
import { readableCodebases } from '#shared/read-store/readable.ts';
import { createRights } from '../../services/notifier/rights.ts';
import { codebaseReaders } from '../../services/projector/views/codebase-readers.ts';
import { gitlabPeople } from '../../services/projector/views/gitlab-people.ts';
import { projectCodebases, projectPeople, projects } from '../../services/projector/views/projects.ts';
import { sources } from '../../services/projector/views/sources.ts';

// Who reads what stands in these tables. The notifier looks at rights anew before it tells a fact that changes one of them, and at no other.

const VIEWS = [codebaseReaders, gitlabPeople, projectCodebases, projectPeople, projects, sources];

test('what decides who reads a codebase is folded by these views', () => {
  const tables = [...readableCodebases('$1').matchAll(/read_model\.(\w+)/g)].map(([, table]) => table);
  expect([...new Set(tables)].sort()).toEqual(VIEWS.map(({ table }) => table).sort());
});

test.each(samples())('$file: rights are looked at anew when it is a fact by which they change, and else not (I7)', ({ fact }) => {
  const given = fact as unknown as Fact;
  const rights = createRights({ projectsOf: () => [], rightsOf: async () => new Map() });
  rights.hold({ user: (fact.data as { userId?: string }).userId ?? 'somebody', channels: [`codebase:${given.key}`] });
  expect(rights.areChangedBy([given])).toBe(VIEWS.some((view) => view.keysOf(given).length > 0));
});
