import { createMemoryRequestCounts } from './memory-request-counts.ts';
import { requestCountsContract } from './request-counts.contract.ts';

const counts = createMemoryRequestCounts();
requestCountsContract('memory', () => counts);

test('a window that began late in one generation goes on in the next, to its own end', async () => {
  let now = 0;
  const own = createMemoryRequestCounts(() => now);
  await own.count('first', 100);
  now = 90;
  await own.count('a', 100);
  now = 150;
  expect((await own.count('a', 100)).count).toBe(2);
  now = 191;
  expect((await own.count('a', 100)).count).toBe(1);
});
