import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { DemoFailed } from './demo-failed.ts';
import { lastLines, startProgram, type Program } from './programs.ts';

export interface SimulatedGitLab {
  readonly program: Program;
  readonly url: string;
  /** Of `root`, its administrator. */
  readonly token: string;
  /** Takes over a repository of this machine; resolves to the project's path. */
  takeOver(folder: string, name: string): Promise<string>;
}

const greeting = z.object({ url: z.string(), token: z.string(), adminToken: z.string() });
const START_MS_MAX = 30_000;

/** Starts the simulator and waits for its greeting. @throws DemoFailed */
export async function startSimulatedGitLab({ stateDir, port, env }: { stateDir: string; port: number; env: NodeJS.ProcessEnv }): Promise<SimulatedGitLab> {
  const dir = path.join(stateDir, 'gitlab');
  mkdirSync(dir, { recursive: true });
  const program = startProgram({
    name: 'simulated GitLab', program: 'infra/gitlab-simulator/main', words: ['--dir', dir, '--port', String(port)],
    env, stateDir, isHeard: true, logFile: path.join(stateDir, 'gitlab.log'),
  });
  const stdout = program.child.stdout;
  if (stdout === null) throw new DemoFailed('The simulated GitLab has no standard output.');
  const lines = createInterface({ input: stdout });
  const first = await Promise.race([
    once(lines, 'line', { signal: AbortSignal.timeout(START_MS_MAX) }).then(([line]: unknown[]) => String(line)),
    program.ended.then((how) => { throw new DemoFailed(`The simulated GitLab ended (${how}) before it was up. The end of ${program.logFile}:\n${lastLines(program.logFile, 10)}`); }),
  ]);
  const { url, token, adminToken } = greeting.parse(JSON.parse(first));
  return {
    program, url, token,
    async takeOver(folder, name) {
      const response = await fetch(`${url}/_simulator/projects`, {
        method: 'POST', headers: { 'content-type': 'application/json', 'x-simulator-token': adminToken },
        body: JSON.stringify({ path: name, name, import: folder }),
      });
      const answer = await response.json() as { path_with_namespace?: string };
      if (!response.ok || answer.path_with_namespace === undefined) throw new DemoFailed(`The simulated GitLab did not take over ${folder} (${response.status}): ${JSON.stringify(answer).slice(0, 500)}`);
      return answer.path_with_namespace;
    },
  };
}
