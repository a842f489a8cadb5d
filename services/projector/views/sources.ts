import type { View } from '../view.ts';

export type SourceRow = { source_id: string; name: string; base_url: string; registered_at: string; state: 'active' | 'removed'; revision: number; open_projects_read_by: 'members' | 'signed-in' };

export const sources: View<SourceRow> = {
  table: 'sources',
  key: ['source_id'],
  columns: { source_id: 'indexed text', name: 'text', base_url: 'text', registered_at: 'text', state: 'text', revision: 'integer', open_projects_read_by: 'text' },
  keysOf: (fact) => (fact.type === 'source.registered' || fact.type === 'source.changed' || fact.type === 'source.removed' || fact.type === 'source.open-projects-decided' ? [[fact.data.sourceId]] : []),
  fold(before, fact) {
    const { revision } = fact;
    if (fact.type === 'source.registered') return { source_id: fact.data.sourceId, name: fact.data.name, base_url: fact.data.baseUrl, registered_at: fact.time, state: 'active', revision, open_projects_read_by: 'members' };
    if (before === undefined) return undefined;
    if (fact.type === 'source.changed') return { ...before, name: fact.data.name, revision };
    if (fact.type === 'source.open-projects-decided') return { ...before, open_projects_read_by: fact.data.readBy, revision };
    return fact.type === 'source.removed' ? { ...before, state: 'removed', revision } : before;
  },
};
