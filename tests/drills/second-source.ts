import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startSimulator } from '../../infra/gitlab-simulator/server.ts';
import { gitlabOf, type System } from '../harness/system.ts';

/** Another GitLab beside the system's own, registered with the same engine: asked as if it were the only one. `stop` ends that GitLab alone. */
export async function startSecondSource(system: System): Promise<System> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tekai-second-'));
  const simulator = await startSimulator({ port: 0, dir });
  const gitlab = gitlabOf(simulator);
  const registered = await system.ask('POST', '/v1/sources', { body: { baseUrl: gitlab.url, token: gitlab.token } });
  if (registered.status !== 201) throw new Error(`the second source was not registered: ${registered.status} ${registered.bytes.toString()}`);
  const { id } = registered.json<{ id: string }>();
  return {
    ...system,
    gitlab,
    sourceId: async () => id,
    async follow(project, more = {}) {
      const answer = await system.ask('POST', '/v1/codebases', { body: { sourceId: id, gitlabProject: project, ...more } });
      if (answer.status !== 201) throw new Error(`codebase not registered: ${answer.status} ${answer.bytes.toString()}`);
      return answer.json<{ id: string }>().id;
    },
    async stop() {
      await simulator.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
