import fc from 'fast-check';
import { assignPartitions } from './kafka-assigner.ts';

const member = fc.record({ owned: fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 30 }) });

test('every partition has one member, nobody has two more than another, whatever they say that they have', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 30 }), fc.array(member, { minLength: 1, maxLength: 8 }), (partitions, members) => {
    const assigned = assignPartitions(partitions, members.map(({ owned }, index) => ({ id: `m${index}`, owned })));
    expect([...assigned.values()].flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: partitions }, (_, partition) => partition));
    const counts = [...assigned.values()].map((own) => own.length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(assigned.size).toBe(members.length);
  }));
});

test('a process that comes takes its part and no more; who goes leaves the others what they have', () => {
  const three = assignPartitions(24, ['a', 'b', 'c'].map((id) => ({ id, owned: [] })));
  const four = assignPartitions(24, [...three].map(([id, owned]) => ({ id, owned })).concat({ id: 'd', owned: [] }));
  for (const [id, own] of four) if (id !== 'd') expect(three.get(id)).toEqual(expect.arrayContaining([...own]));
  expect(four.get('d')).toHaveLength(6);
  const again = assignPartitions(24, [...four].filter(([id]) => id !== 'b').map(([id, owned]) => ({ id, owned })));
  for (const [id, own] of again) expect(own).toEqual(expect.arrayContaining([...four.get(id)!]));
});
