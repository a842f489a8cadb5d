import type { View } from '../view.ts';

export type SourceRow = { source_id: string; name: string; base_url: string; registered_at: string };

export const sources: View<SourceRow> = {
  table: 'sources',
  key: ['source_id'],
  keysOf: (fact) => (fact.type === 'source.registered' ? [[fact.data.sourceId]] : []),
  fold: (before, fact) => (fact.type === 'source.registered'
    ? { source_id: fact.data.sourceId, name: fact.data.name, base_url: fact.data.baseUrl, registered_at: fact.time }
    : before),
};
