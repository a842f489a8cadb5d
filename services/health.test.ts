import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { createHealth } from './health.ts';

test('a probe that asks by HEAD is answered as one that asks by GET', async () => {
  const door = createHttpDoor({ logger: createLogger('silent'), host: '127.0.0.1' });
  const health = createHealth({ starting: () => [], checks: () => ({}), door, metrics: createMetrics(), version: { version: '0', commit: 'unknown', node: 'x', services: [] } });
  door.use(health.handler);
  const port = await door.listen(0);
  try {
    for (const path of ['/livez', '/readyz', '/version', '/']) {
      const answers = await Promise.all(['GET', 'HEAD'].map((method) => fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: 'close' } })));
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect(await answers[1]?.text()).toBe('');
    }
  } finally {
    await door.close();
    await health.close();
  }
});
